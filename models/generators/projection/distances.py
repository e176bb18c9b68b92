"""How far pictures are from others, with derivatives: what a projection makes small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
import torch.nn.functional as F

Distance = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Of pictures [N, 3, H, W], about 0..1, from others, [N]."""

COARSEST: Final = 4
"""Side of the last pictures of a pyramid, pixels."""
SEEN: Final = 256
"""Side to which larger pictures are brought for a network (Karras et al. 2020, appendix D), pixels."""


def pyramid(images: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of each level of their Laplacian pyramids (Burt and Adelson 1983), summed up over
    levels, [N]: Lap1 of Bojanowski et al. 2018, divided by the pixels."""
    left = images - others
    total = left.new_zeros(len(left))
    while min(left.shape[2:]) > COARSEST:
        coarse = F.avg_pool2d(_blurred(left), 2, ceil_mode=True)
        total = total + (left - _enlarged(coarse, left)).abs().mean(dim=(1, 2, 3))
        left = coarse
    return total + left.abs().mean(dim=(1, 2, 3))


def perceptual(distance: Distance) -> Distance:
    """The distance of a network, of pictures of at most SEEN pixels a side."""

    def seen(images: torch.Tensor) -> torch.Tensor:
        return F.interpolate(images, (SEEN, SEEN), mode="area") if min(images.shape[2:]) > SEEN else images

    return lambda images, others: distance(seen(images), seen(others))


def _blurred(images: torch.Tensor) -> torch.Tensor:
    taps = images.new_tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    channels = images.shape[1]
    kernel = taps.outer(taps).expand(channels, 1, -1, -1)
    return F.conv2d(F.pad(images, (2, 2, 2, 2), "reflect"), kernel, groups=channels)


def _enlarged(images: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return F.interpolate(images, like.shape[2:], mode="bilinear", align_corners=False)
