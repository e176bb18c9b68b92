"""Ways between latents."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def spherical(start: torch.Tensor, end: torch.Tensor, shares: Sequence[float]) -> torch.Tensor:
    """[N, ...] on the great circle between two latents [1, ...], N shares of the way from 0 to 1 (Shoemake 1985).

    Samples of a high-dimensional Gaussian lie near a sphere; a straight way would lead through its empty inside. The
    radius changes evenly from that of one end to that of the other.
    """
    a, b = start.flatten().double(), end.flatten().double()
    lengths = torch.stack([a.norm(), b.norm()])
    if float(lengths.min()) == 0:
        return straight(start, end, shares)
    u, v = a / lengths[0], b / lengths[1]
    angle = torch.acos((u @ v).clamp(-1, 1))
    if float(angle.sin()) < 1e-6:
        return straight(start, end, shares)
    share = torch.tensor(shares, dtype=torch.float64)[:, None]
    direction = (((1 - share) * angle).sin() * u + (share * angle).sin() * v) / angle.sin()
    radius = torch.lerp(lengths[0], lengths[1], share)
    return (radius * direction).float().reshape(-1, *start.shape[1:])


def straight(start: torch.Tensor, end: torch.Tensor, shares: Sequence[float]) -> torch.Tensor:
    """[N, ...] on the line between two latents [1, ...]."""
    share = torch.tensor(shares, dtype=torch.float64).reshape(-1, *[1] * (start.ndim - 1))
    return torch.lerp(start.double(), end.double(), share).float()
