"""Random squares of pictures, at the size that a network sees: it then judges the parts as well as the whole, and
patterns that please it at one place alone do not pay (Crowson et al. 2022, VQGAN-CLIP, arXiv:2204.08583, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
import torch.nn.functional as F

LEAST: Final = 0.5
"""Side of the smallest, as a share of the picture's shorter side."""


def cutouts(pictures: torch.Tensor, count: int, side: int, streams: Sequence[torch.Generator]) -> torch.Tensor:
    """`count` squares of each picture [N, C, H, W], in order, [N count, C, side, side], with derivatives.

    streams: of each picture; they draw sizes and places.
    """
    height, width = pictures.shape[2:]
    shorter = min(height, width)
    found = []
    for place, stream in enumerate(streams):
        for share, down, right in torch.rand(count, 3, generator=stream, dtype=torch.float64).tolist():
            size = min(shorter, round(shorter * (LEAST + (1 - LEAST) * share)))
            top, left = int(down * (height - size + 1)), int(right * (width - size + 1))
            square = pictures[place : place + 1, :, top : top + size, left : left + size]
            # Enlarging, antialiasing changes nothing but takes twice the time.
            found.append(F.interpolate(square, (side, side), mode="bilinear", antialias=size > side))
    return torch.cat(found)
