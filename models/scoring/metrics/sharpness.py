"""Sharpness of a set of images beside a reference set, by their power spectra: whether a generator blurs.

Of natural images power falls about as 1 / frequency^2 (van der Schaaf and van Hateren 1996); a blurred one's falls more
steeply. Features that FID compares were trained to see past that, and so it says little of it.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch

from ...errors import BadInput
from ...pictures.images import rgb
from ..scores import Score

SMALLEST: Final = 16
"""Side in pixels of the smallest images that have a spectrum to speak of."""
LOWEST: Final = 4.0
"""Periods across the shorter side, from which on the slope is fitted."""
HIGH: Final = 0.25
"""Cycles per pixel from which on a frequency is high: details of less than four pixels."""
SAME: Final = 5e-4
"""Share that is written as 0."""
FLAT: Final = "the images are all of one colour"
_LUMA: Final = (0.299, 0.587, 0.114)
_EMPTY: Final = 1e-12


class Spectrum(NamedTuple):
    """frequencies: float64 [B], cycles per pixel, ascending, at most 0.5. power: float64 [N, B], the mean of each ring,
    per image. parts: float64 [B], how many of the plane's places each ring has."""

    frequencies: torch.Tensor
    power: torch.Tensor
    parts: torch.Tensor


class Sharpness(NamedTuple):
    """slope: of the logarithm of power by that of frequency, over the slope of the reference; below 0 where the images
    are softer. spread: standard deviation of it over the images. lost: share of the high frequencies' part of all
    power that is missing beside the reference; 0 for none, below 0 where they have more (noise, sharpening). Images
    that are all of one colour have lost all, and have no slope: NaN."""

    slope: float
    spread: float
    lost: float


def spectrum(images: torch.Tensor, what: str = "images") -> Spectrum:
    """Of the luminance of images [N, H, W, 3 or 4], 0..1, less its mean and under a Hann window.

    Raises:
        BadInput: no images, smaller ones than SMALLEST, or values that are not finite.
    """
    images = rgb(images, what)
    height, width = images.shape[1:3]
    if min(height, width) < SMALLEST:
        raise BadInput(f"{what}: they are {width} x {height}; give images of {SMALLEST} pixels or more a side.")
    window = torch.outer(*(torch.hann_window(side, periodic=False, dtype=torch.float64) for side in (height, width)))
    across = torch.fft.rfftfreq(width, dtype=torch.float64)[None]
    radii = torch.hypot(torch.fft.fftfreq(height, dtype=torch.float64)[:, None], across)
    bins = min(height, width) // 2
    rings = (radii * 2 * bins).round().long().clamp_max(bins + 1).flatten()
    parts = torch.zeros(bins + 2, dtype=torch.float64).index_add_(0, rings, torch.ones(len(rings), dtype=torch.float64))
    power = []
    for image in images:
        grey = image.double().cpu() @ torch.tensor(_LUMA, dtype=torch.float64)
        found = torch.fft.rfft2((grey - grey.mean()) * window).abs().square().flatten()
        power.append(torch.zeros(bins + 2, dtype=torch.float64).index_add_(0, rings, found) / parts.clamp(min=1))
    kept = slice(1, bins + 1)
    frequencies = torch.arange(bins + 2, dtype=torch.float64) / (2 * bins)
    return Spectrum(frequencies[kept], torch.stack(power)[:, kept], parts[kept])


def sharpness(images: torch.Tensor, reference: torch.Tensor) -> Sharpness:
    """Of images [N, H, W, 3] beside a reference set [M, H, W, 3]; pictures are not paired.

    Raises:
        BadInput: their sizes differ, or see `spectrum`; or the reference is without any detail.
    """
    images, reference = rgb(images, "images"), rgb(reference, "reference")
    if images.shape[1:3] != reference.shape[1:3]:
        raise BadInput(
            f"reference: images of {reference.shape[2]} x {reference.shape[1]} beside {images.shape[2]} x "
            f"{images.shape[1]}; resize neither, since that blurs, and give sets of one size."
        )
    ours, theirs = spectrum(images), spectrum(reference, "reference")
    if not theirs.power.sum() > _EMPTY:
        raise BadInput("reference: its images are all of one colour; give others.")
    if not ours.power.sum() > _EMPTY:
        return Sharpness(math.nan, 0.0, 1.0)
    lowest = LOWEST / min(images.shape[1:3])
    slopes = [_slopes(each, lowest) for each in (ours, theirs)]
    together = [_slopes(each._replace(power=each.power.mean(dim=0, keepdim=True)), lowest) for each in (ours, theirs)]
    spread = float(slopes[0].std()) if len(slopes[0]) > 1 else 0.0
    lost = 1 - _high_share(ours) / _high_share(theirs)
    return Sharpness(float(together[0] - together[1]), spread, lost)


def _slopes(of: Spectrum, lowest: float) -> torch.Tensor:
    """Least squares on both logarithms: [N]."""
    kept = of.frequencies >= lowest
    x = of.frequencies[kept].log()
    y = (of.power[:, kept] + _EMPTY).log()
    x = x - x.mean()
    return y @ x / x.square().sum()


def _high_share(of: Spectrum) -> float:
    """Of the sum of all power, how much the high frequencies have."""
    total = of.power.mean(dim=0) * of.parts
    return float(total[of.frequencies >= HIGH].sum()) / max(float(total.sum()), _EMPTY)


def as_scores(found: Sharpness) -> tuple[Score, ...]:
    """The two numbers, and what they are of."""
    slope = Score("spectral_slope", found.slope, found.spread or None, note="spread: over the images")
    return (
        Score("spectral_slope", math.nan, note=FLAT) if math.isnan(found.slope) else slope,
        Score("high_frequencies_lost", found.lost, note=f"from {HIGH:g} cycles per pixel on"),
    )


def describe(found: Sharpness) -> str:
    """In words."""
    verdict = "as sharp as" if abs(found.lost) < SAME else "softer than" if found.lost > 0 else "sharper than"
    slope = f"{found.slope:+.3f} beside the reference's, {found.spread:.3f} over the images"
    if math.isnan(found.slope):
        slope = f"none, {FLAT}"
    return "\n".join([
        f"the images are {verdict} the reference",
        f"spectral slope: {slope}",
        f"high frequencies lost: {found.lost:.1%}",
    ])  # fmt: skip
