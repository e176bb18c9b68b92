"""Sums and means over square windows around every pixel, by sums over distances that double."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def window_sum(values: torch.Tensor, side: int) -> torch.Tensor:
    """Of [C, H, W], over the `side` x `side` pixels around each, an odd number; what lies outside counts as 0.

    On a CPU several times faster than pooling, and the error of a sum is that of a few additions.
    """
    reach = side // 2
    return _running(_running(F.pad(values, (reach,) * 4), side, -1), side, -2)


def window_mean(values: torch.Tensor, side: int) -> torch.Tensor:
    """The same as a mean; borders repeat outwards."""
    reach = side // 2
    padded = F.pad(values[None], (reach,) * 4, mode="replicate")[0]
    return _running(_running(padded, side, -1), side, -2) / side**2


def _running(values: torch.Tensor, side: int, dim: int) -> torch.Tensor:
    """Sums of `side` neighbours along a dimension, where all of them are there."""
    length = values.shape[dim] - side + 1
    total, power, done = None, values, 0
    width = 1
    while True:
        if side & width:
            part = power.narrow(dim, done, length)
            total = part if total is None else total + part
            done += width
        width *= 2
        if width > side:
            assert total is not None
            return total
        shorter = power.shape[dim] - width // 2
        power = power.narrow(dim, 0, shorter) + power.narrow(dim, width // 2, shorter)
