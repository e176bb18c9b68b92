"""How well an autoencoder gives an image back."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from .base import Descriptor

REC_601 = (0.299, 0.587, 0.114)


def psnr(originals: torch.Tensor, images: torch.Tensor) -> list[float]:
    """Peak signal-to-noise ratio of each image, dB: -10 log10 of the mean squared error over all values, 0..1.

    originals, images: [N, H, W, C]. Equal images give infinity.
    """
    errors = (originals.double() - images.double()).square().flatten(1).mean(dim=1).tolist()
    return [-10 * math.log10(error) if error else math.inf for error in errors]


def grey(images: torch.Tensor) -> torch.Tensor:
    """The luma (ITU-R BT.601) of [N, H, W, 3], repeated to three channels."""
    luma = (images * images.new_tensor(REC_601)).sum(dim=-1, keepdim=True)
    return luma.expand_as(images)


def in_colours_of(descriptor: Descriptor, images: torch.Tensor) -> torch.Tensor:
    """The images [N, H, W, 3] as the model can show them: grey where its pictures are."""
    return grey(images).contiguous() if descriptor.channels == 1 else images


def report(values: Sequence[float]) -> str:
    """A line per image, and the mean where there are several."""
    lines = [f"image {index}: PSNR {value:.2f} dB" for index, value in enumerate(values)]
    if len(values) > 1:
        lines.append(f"mean of {len(values)}: PSNR {sum(values) / len(values):.2f} dB")
    return "\n".join(lines)
