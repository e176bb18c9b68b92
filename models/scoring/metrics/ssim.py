"""SSIM and MS-SSIM of a pair of images, strip by strip, so that memory does not grow with their size.

The definitions are those of torchmetrics 1.9 at its defaults, which follow pytorch-msssim: a Gaussian window of 11 with
sigma 1.5, per colour channel, borders reflected for SSIM and left out of what MS-SSIM takes of the finer scales. There
the window is one convolution in two dimensions, which in float64 needs 5.8 GB for a pair of 1024 px.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
import torch.nn.functional as F

REACH: Final = 5
"""Pixels of the window to each side of its middle."""
SIGMA: Final = 1.5
LUMINANCE: Final = 0.01**2
CONTRAST: Final = 0.03**2
"""What keeps quotients from 0, of intensities 0..1: (K1 L)^2 and (K2 L)^2 of Wang et al. 2004."""
EXPONENTS: Final = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the scales, the finest first (Wang et al. 2003, table 1)."""
STRIP: Final = 1 << 18
"""Pixels that are worked on at once: what a core's cache holds."""


class Similarity(NamedTuple):
    """whole: luminance, contrast and structure over all pixels. contrast: the last two, where the window fits."""

    whole: float
    contrast: float


def ssim(reference: torch.Tensor, image: torch.Tensor) -> float:
    """Structural similarity (Wang et al. 2004, doi 10.1109/TIP.2003.819861) of two images [C, H, W], 0..1; at most 1.

    Taken in float64: of an even ground the variance is the difference of two means, which float32 misses by a part of
    what is added against a division by 0, so that an image would not quite be like itself.
    """
    channels = zip(reference.double(), image.double(), strict=True)
    return sum(_similarity(one, other).whole for one, other in channels) / len(image)


def ms_ssim(reference: torch.Tensor, image: torch.Tensor) -> float:
    """Multi-scale structural similarity (Wang et al. 2003, doi 10.1109/ACSSC.2003.1292216) of the same; 0..1.

    Each scale is half of the one before; scales whose contrast is negative on the whole count as 0.
    """
    scales = [[0.0, 0.0] for _ in EXPONENTS]
    for one, other in zip(reference, image, strict=True):
        planes = torch.stack([one, other]).double()
        for scale in scales:
            found = _similarity(*planes)
            scale[0] += found.whole / len(image)
            scale[1] += found.contrast / len(image)
            planes = F.avg_pool2d(planes[None], 2)[0]
    terms = [contrast for _, contrast in scales[:-1]] + [scales[-1][0]]
    product = 1.0
    for term, exponent in zip(terms, EXPONENTS, strict=True):
        product *= max(term, 0.0) ** exponent
    return product


def _similarity(one: torch.Tensor, other: torch.Tensor) -> Similarity:
    """Of two planes [H, W], float64."""
    height, width = one.shape
    one, other = (F.pad(each[None], (REACH,) * 4, mode="reflect")[0] for each in (one, other))
    rows = max(1, STRIP // width)
    whole = contrast = 0.0
    for top in range(0, height, rows):
        below = min(top + rows, height)
        strip = slice(top, below + 2 * REACH)
        wholes, contrasts = _maps(one[strip], other[strip])
        whole += float(wholes.sum())
        inside = slice(max(REACH - top, 0), max(min(below, height - REACH) - top, 0))
        contrast += float(contrasts[inside, REACH : max(width - REACH, 0)].sum())
    fitting = max(height - 2 * REACH, 1) * max(width - 2 * REACH, 1)
    return Similarity(whole / (height * width), contrast / fitting)


def _maps(one: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Similarity, and contrast and structure alone, at each pixel for which the window is there."""
    means = _weighted(torch.stack([one, other, one * one, other * other, one * other]))
    squares = means[0] ** 2, means[1] ** 2
    product = means[0] * means[1]
    variances = sum((means[2 + at] - squares[at]).clamp(min=0) for at in (0, 1))
    contrast = (2 * (means[4] - product) + CONTRAST) / (variances + CONTRAST)
    return (2 * product + LUMINANCE) / (squares[0] + squares[1] + LUMINANCE) * contrast, contrast


def _weighted(planes: torch.Tensor) -> torch.Tensor:
    """Means of [N, H, W] under the Gaussian window, where it fits."""
    distances = torch.arange(-REACH, REACH + 1, dtype=torch.float64)
    weights = torch.exp(-(distances**2) / (2 * SIGMA**2))
    for dim in (-1, -2):
        length = planes.shape[dim] - 2 * REACH
        total = torch.zeros_like(planes.narrow(dim, 0, length))
        for place, weight in enumerate((weights / weights.sum()).tolist()):
            total.add_(planes.narrow(dim, place, length), alpha=weight)
        planes = total
    return planes
