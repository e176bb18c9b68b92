"""The change of colours that an editor makes everywhere, found where the picture is else the same, and undone."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch

from ..windows import window_mean

SAMPLES: Final = 40_000
TURNS: Final = 20
WINDOW: Final = 5
"""Side in pixels of the squares whose mean colours are compared: noise and the sharpness of details drop out."""
FLOOR: Final = 1 / 255
QUANTILE: Final = 0.3
NORMAL_QUANTILE: Final = 0.385
"""Of the absolute value of a standard normal variable."""
RIDGE: Final = (*(1e-4,) * 3, *(3e-3,) * 3, 1e-6, *(1e-3,) * 5)
"""How strongly each term stays at "no change": the colours, their squares, the offset, and how it runs over the
picture. It decides where the picture does not show a term, such as the gain of red in a grey one."""
BEYOND: Final = 0.02
"""By how much a correction may exceed those that were seen."""


class ColourChange(NamedTuple):
    """terms: float32 [12, 3], from the edit's colours and places to the original's colours. lowest, highest: float32
    [3], of the correction. size: mean absolute correction where both pictures agree, 0..1."""

    terms: torch.Tensor
    lowest: torch.Tensor
    highest: torch.Tensor
    size: float


def fit_colours(original: torch.Tensor, edited: torch.Tensor, counts: torch.Tensor) -> ColourChange:
    """The change that brings an edit [3, H, W], in its place, nearest to its original [3, H, W].

    counts: bool [H, W], the pixels that may be compared. A correction is kept within what was seen of it.

    Each channel of the original is a weighted sum of the edit's channels, of their squares, and of an offset that runs
    over the picture as a polynomial of degree two. Least squares with a ridge towards no change, and weights of Geman
    and McClure (1985) whose scale shrinks from turn to turn (graduated non-convexity, Blake and Zisserman 1987): pixels
    that have changed in other ways drop out, up to some half of the picture.
    """
    pixels = _chosen(counts)
    if len(pixels) < 16:
        return _none(original)
    target = window_mean(original, WINDOW).flatten(1)[:, pixels].T
    source = window_mean(edited, WINDOW).flatten(1)[:, pixels].T
    x, y = _places(counts.shape[0], counts.shape[1], counts.device)
    features = _features(source, x.flatten()[pixels], y.flatten()[pixels])
    same = _same(original.device)
    ridge = torch.diag(torch.tensor(RIDGE, dtype=torch.float64))
    terms, weight = same, torch.ones(len(pixels), device=original.device)
    for turn in range(TURNS):
        residual = (target - features @ terms).square().mean(dim=1).sqrt()
        scale = max(float(torch.quantile(residual, QUANTILE)) / NORMAL_QUANTILE, FLOOR)
        scale *= 1 + 3 * 0.7**turn
        weight = 1 / (1 + (residual / (2 * scale)).square()).square()
        weighted = features * weight[:, None]
        normal = (features.T @ weighted).double().cpu() + ridge * float(weight.sum())
        right = (weighted.T @ target).double().cpu() + ridge @ same.double().cpu() * float(weight.sum())
        terms = torch.linalg.solve(normal, right).to(target)
    change = (features @ terms - source)[weight > 0.25]
    if len(change) < 16:
        return _none(original)
    lowest, highest = change.amin(dim=0) - BEYOND, change.amax(dim=0) + BEYOND
    return ColourChange(terms, lowest, highest, float(change.abs().mean()))


def undo_colours(edited: torch.Tensor, change: ColourChange) -> torch.Tensor:
    """The edit [3, H, W] in the original's colours; values may leave 0..1 a little."""
    x, y = _places(edited.shape[1], edited.shape[2], edited.device)
    result = torch.empty_like(edited)
    for row in range(0, edited.shape[1], 256):  # the terms of all pixels at once would take a dozen pictures' memory
        part = edited[:, row : row + 256].flatten(1).T
        features = _features(part, x[row : row + 256].flatten(), y[row : row + 256].flatten())
        moved = torch.clamp(features @ change.terms - part, change.lowest, change.highest)
        result[:, row : row + 256] = (part + moved).T.unflatten(1, (-1, edited.shape[2]))
    return result


def _none(like: torch.Tensor) -> ColourChange:
    nothing = torch.zeros(3, device=like.device)
    return ColourChange(_same(like.device), nothing, nothing, 0.0)


def _same(device: torch.device) -> torch.Tensor:
    return torch.eye(len(RIDGE), 3, device=device)


def _chosen(counts: torch.Tensor) -> torch.Tensor:
    """Indices of pixels that count, spread evenly."""
    pixels = counts.flatten().nonzero().flatten()
    if len(pixels) <= SAMPLES:
        return pixels
    return pixels[torch.linspace(0, len(pixels) - 1, SAMPLES, device=pixels.device).long()]


def _places(height: int, width: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """x and y of each pixel [H, W], -1..1."""
    y = torch.linspace(-1, 1, height, device=device)[:, None].expand(height, width)
    x = torch.linspace(-1, 1, width, device=device).expand(height, width)
    return x, y


def _features(colours: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Of colours [N, 3] at x, y [N]: [N, 12]."""
    places = torch.stack([torch.ones_like(x), x, y, x * x, x * y, y * y], dim=1)
    return torch.cat([colours, colours.square() - colours, places], dim=1)
