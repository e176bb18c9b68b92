"""Which part of a picture an edit has changed, told from what an editor does to all of it."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from ..islands import connected
from ..masks import fill_holes
from ..runs import any_of, paint_runs
from ..windows import window_mean

WINDOW: Final = 5
"""Side in pixels of the squares over which differences are taken together."""
SURE: Final = 6.0
"""Times the usual difference from which on a place has certainly changed."""
LIKELY: Final = 3.0
"""Times, from which on a place has changed if it hangs together with a sure one."""
FLOOR: Final = 1.5 / 255
"""Least usual difference: half a grey level of each picture, and of what resampling rounds."""
QUANTILE: Final = 0.25
SAMPLES: Final = 100_000


class Changes(NamedTuple):
    """sure, region: bool [H, W], what has certainly changed, and all that hangs together with it."""

    sure: torch.Tensor
    region: torch.Tensor


def find_changes(
    original: torch.Tensor,
    edited: torch.Tensor,
    counts: torch.Tensor,
    alike: torch.Tensor,
    sensitivity: float = 1.0,
    least: int = 16,
) -> Changes:
    """What an edit [3, H, W], in its place and in the original's colours, has changed.

    counts: bool [H, W], the pixels that may be compared; the others have not changed.
    alike: bool [H, W], pixels whose surroundings both pictures show.
    sensitivity: above 1 finds fainter changes. least: pixels of the smallest change.

    The root mean square of the differences in a square of 5 x 5 pixels is held to what is usual in this picture at a
    place with as much detail: editors redraw edges slightly, and even areas hardly. The usual is the lower quarter of
    the differences, and no more than the median of what is alike, so that most of the picture may have changed. Two
    thresholds as in Canny (1986): what reaches the higher one, with all that touches it and reaches the lower one;
    holes are filled.
    """
    squares = (original - edited).square().mean(dim=0)
    difference = (_mean(squares * counts) / _mean(counts.float()).clamp(min=1e-6)).sqrt()
    ratio = difference / _usual(original, difference, counts, alike) * sensitivity * counts
    likely = ratio > LIKELY
    region = _with_seeds(likely.cpu().numpy(), (ratio > SURE).cpu().numpy(), least)
    region = fill_holes(torch.from_numpy(region).float()[None])[0] > 0
    return Changes((ratio > SURE).to(original.device), region.to(original.device))


def _with_seeds(likely: np.ndarray, sure: np.ndarray, least: int) -> np.ndarray:
    """The parts of `likely` that hold a pixel of `sure`, and that have `least` pixels."""
    runs, part = connected(likely)
    lengths = np.bincount(part, runs.last - runs.first + 1)
    seeded = np.bincount(part, any_of(runs, sure)) > 0
    return paint_runs(runs, (seeded & (lengths >= least))[part] & runs.value)


def _usual(original: torch.Tensor, difference: torch.Tensor, counts: torch.Tensor, alike: torch.Tensor) -> torch.Tensor:
    """The difference that is usual at each pixel [H, W]: of even places, and what grows with the contrast of detail."""
    x = F.pad(original.diff(dim=2).square().mean(dim=0), (0, 1))
    y = F.pad(original.diff(dim=1).square().mean(dim=0), (0, 0, 0, 1))
    detail = _mean(x + y).sqrt()
    middle, high = _quantiles(detail[counts], 0.5, 0.75)
    even, rich = counts & (detail <= middle), counts & (detail >= max(high, FLOOR))
    slopes = difference / detail.clamp(min=FLOOR)
    level = min(_quantile(difference[even], QUANTILE), _quantile(difference[alike & counts], 0.5))
    slope = min(_quantile(slopes[rich], QUANTILE), _quantile(slopes[alike & rich], 0.5))
    level = FLOOR if math.isinf(level) else max(level, FLOOR)
    return (level**2 + (0.0 if math.isinf(slope) else slope) ** 2 * detail.square()).sqrt()


def _quantile(values: torch.Tensor, share: float) -> float:
    """Infinite where there are no values."""
    return _quantiles(values, share)[0]


def _quantiles(values: torch.Tensor, *shares: float) -> list[float]:
    if not len(values):
        return [math.inf] * len(shares)
    values = values[:: max(1, len(values) // SAMPLES)]
    return torch.quantile(values, torch.tensor(shares, device=values.device)).tolist()


def _mean(values: torch.Tensor) -> torch.Tensor:
    return window_mean(values[None], WINDOW)[0].clamp(min=0)
