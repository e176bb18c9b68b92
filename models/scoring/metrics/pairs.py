"""Images against references, pair by pair: PSNR, SSIM, MS-SSIM and LPIPS."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Final, NamedTuple

import torch

from ...errors import BadInput
from ...pictures.images import rgb
from ...steps import OnStep, quiet
from ..scores import Score
from .ssim import ms_ssim, ssim

DATA_RANGE: Final = 1.0
"""Of intensities."""
SSIM_SIDE: Final = 6
"""Shortest side in pixels: the window of 11 is reflected by 5 at the borders."""
MS_SSIM_SIDE: Final = 176
"""Shortest side in pixels: after four halvings the window of 11 must still fit."""

Distance = Callable[[torch.Tensor, torch.Tensor], float]
"""LPIPS of two images [1, 3, H, W], 0..1."""


class Pairs(NamedTuple):
    """reference, image: float32 [N, H, W, 3], 0..1, of the same size and number."""

    reference: torch.Tensor
    image: torch.Tensor


@dataclass(frozen=True)
class Comparison:
    """values: metric -> one number per pair, NaN where it could not be taken; reasons: metric -> why not.

    identical: whether the pair is equal in every value; its PSNR is then infinite.
    """

    values: Mapping[str, tuple[float, ...]]
    reasons: Mapping[str, str]
    identical: tuple[bool, ...]
    height: int
    width: int

    def mean(self, metric: str) -> float:
        """Over all pairs; infinite where any is."""
        return fmean(self.values[metric])


def match_pairs(reference: torch.Tensor, image: torch.Tensor, what: tuple[str, str] = ("reference", "image")) -> Pairs:
    """Two batches [B, H, W, 3 or 4] side by side: alpha is ignored, values are clamped to 0..1, one serves all.

    Raises:
        BadInput: no images, NaN, different sizes, or different numbers of which none is 1.
    """
    first, second = rgb(reference, what[0]).clamp(0, 1), rgb(image, what[1]).clamp(0, 1)
    if first.shape[1:] != second.shape[1:]:
        sizes = " and ".join(
            f"{name} of {batch.shape[2]} x {batch.shape[1]}" for name, batch in zip(what, (first, second), strict=True)
        )
        raise BadInput(f"{what[1]}: {sizes} pixels cannot be compared; resize one yourself, since that moves scores.")
    count = max(len(first), len(second))
    if {len(first), len(second)} - {1, count}:
        raise BadInput(
            f"{what[1]}: {len(second)} images for {len(first)} of {what[0]}; give as many, or one for all the others."
        )
    return Pairs(first.expand(count, -1, -1, -1), second.to(first.device).expand(count, -1, -1, -1))


def compare(
    pairs: Pairs,
    lpips: Distance | None = None,
    lpips_side: int = 1,
    on_step: OnStep = quiet,
) -> Comparison:
    """PSNR (dB, of intensities 0..1), SSIM, MS-SSIM and, where `lpips` is given, LPIPS of every pair.

    SSIM (Wang et al. 2004) and MS-SSIM (Wang et al. 2003) have a Gaussian window of 11 with sigma 1.5, per colour
    channel, and reflected borders. What an image is too small for is left out, with the reason.

    lpips_side: shortest side that the network takes, in pixels. on_step: called with the pairs done.
    """
    height, width = pairs.image.shape[1:3]
    measures: dict[str, tuple[Distance, int]] = {
        "psnr": (_psnr, 1),
        "ssim": (_of_pair(ssim), SSIM_SIDE),
        "ms_ssim": (_of_pair(ms_ssim), MS_SSIM_SIDE),
    }
    if lpips is not None:
        measures["lpips"] = (lpips, lpips_side)
    reasons = {
        metric: f"needs images of at least {side} x {side} pixels, found {width} x {height}"
        for metric, (_, side) in measures.items()
        if min(height, width) < side
    }
    if lpips is None:
        reasons["lpips"] = "no network was chosen"
    values: dict[str, list[float]] = {metric: [] for metric in dict.fromkeys((*measures, "lpips"))}
    # One pair at a time: an image of a batch must not move another's score, and memory stays bounded.
    for done, (reference, image) in enumerate(zip(*pairs, strict=True), 1):
        one, other = reference.movedim(-1, 0)[None], image.movedim(-1, 0)[None]
        for metric, taken in values.items():
            taken.append(math.nan if metric in reasons else measures[metric][0](one, other))
        on_step(done)
    identical = tuple(torch.equal(a, b) for a, b in zip(*pairs, strict=True))
    return Comparison({metric: tuple(taken) for metric, taken in values.items()}, reasons, identical, height, width)


def _psnr(reference: torch.Tensor, image: torch.Tensor) -> float:
    """Of intensities 0..1, in dB; infinite for images that are equal."""
    error = float((reference.double() - image.double()).square().mean())
    return 10 * math.log10(1 / error) if error else math.inf


def _of_pair(measure: Distance) -> Distance:
    """Of [1, 3, H, W], rounded to float32, in which an image is like itself by exactly 1."""
    return lambda reference, image: float(torch.tensor(measure(reference[0], image[0]), dtype=torch.float32))


def as_scores(comparison: Comparison) -> tuple[Score, ...]:
    """Means over the pairs, their spread as standard deviation where there are several."""
    scores = []
    for metric, values in comparison.values.items():
        finite = len(values) > 1 and all(map(math.isfinite, values))
        spread = float(torch.tensor(values, dtype=torch.float64).std()) if finite else None
        note = comparison.reasons.get(metric, "")
        if math.isinf(comparison.mean(metric)):
            note = "infinite: a pair is identical"
        scores.append(Score(metric, comparison.mean(metric), spread=spread, note=note))
    return tuple(scores)
