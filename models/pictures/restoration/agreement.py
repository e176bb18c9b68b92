"""Where two pictures show the same, whatever their brightness and contrast."""

from __future__ import annotations

from typing import Final

import torch

from ..windows import window_mean

WINDOW: Final = 15
"""Side in pixels of the squares that are correlated."""
LUMA: Final = (0.299, 0.587, 0.114)
FAINT: Final = 0.006
"""Standard deviation of the luma below which a square shows nothing but noise."""
SAME: Final = 0.7
"""Correlation from which on two squares show the same."""


def luma(picture: torch.Tensor) -> torch.Tensor:
    """[H, W] of [3, H, W]."""
    weights = torch.tensor(LUMA, device=picture.device)
    return (picture * weights[:, None, None]).sum(dim=0)


def band(brightness: torch.Tensor) -> torch.Tensor:
    """[H, W] without the noise of single pixels and the brightness of the surroundings, which an edit moves."""
    fine = window_mean(brightness[None], 3)
    return (fine - window_mean(window_mean(fine, WINDOW), WINDOW))[0]


def correlation(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Of two bands [H, W], around each pixel: -1..1, and about 0 where either shows nothing.

    The normalised cross-correlation of Lewis (1995, "Fast normalized cross-correlation"), over squares of 15 x 15.
    """
    products = torch.stack([one * other, one * one, other * other])
    both, first, second = window_mean(products, WINDOW)
    return both / ((first.clamp(min=0) + FAINT**2) * (second.clamp(min=0) + FAINT**2)).sqrt()


def showing(one: torch.Tensor) -> torch.Tensor:
    """bool [H, W]: where a band shows anything."""
    return window_mean(one[None].square(), WINDOW)[0] > (2 * FAINT) ** 2
