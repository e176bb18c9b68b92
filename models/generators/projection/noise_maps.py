"""Maps of noise that are optimised beside a latent, kept noise (Karras et al. 2020, appendix D)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
import torch.nn.functional as F

COARSEST: Final = 8
"""Side from which on maps are not halved further, pixels."""


def correlation(maps: Sequence[torch.Tensor]) -> torch.Tensor:
    """How much neighbours are alike, [N]: over all maps [N, 1, side, side] and their halves down to 8 pixels the
    squares of the mean products with the neighbour to the left and above."""
    total = maps[0].new_zeros(len(maps[0])) if maps else torch.zeros(1)
    for each in maps:
        while True:
            for axis in (2, 3):
                total = total + (each * each.roll(1, axis)).mean(dim=(1, 2, 3)).square()
            if each.shape[-1] <= COARSEST:
                break
            each = F.avg_pool2d(each, 2)
    return total


@torch.no_grad()
def normalise(maps: Sequence[torch.Tensor]) -> None:
    """Bring each map, in place, to mean 0 and variance 1."""
    for each in maps:
        each.sub_(each.mean(dim=(1, 2, 3), keepdim=True))
        each.mul_(each.square().mean(dim=(1, 2, 3), keepdim=True).rsqrt_())
