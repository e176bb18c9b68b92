"""Whether two rows of a table differ: resampling of their samples, paired where both drew with the same seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, Literal

import torch

from ..metrics.frechet_interval import LEVEL
from .influences import Influences
from .student import reach, two_sided

RESAMPLES: Final = 2000
INCONCLUSIVE: Final = 0.013
"""Share of a score below which a gap is inconclusive, whatever its interval: by so much FID varies when a model is
trained again by the same recipe (Dufour, Efros, Perez 2026, "The FID Lottery", arXiv:2606.20536)."""
_CELLS: Final = 4_000_000
"""Weights of samples that are drawn at once."""

How = Literal["paired", "independent", "intervals", "runs", "one interval", "unknown"]


@dataclass(frozen=True)
class Estimate:
    """A score of one row.

    error: its standard error in a repetition, None where it is not known. freedom: degrees of freedom of that error.
    influences: of its samples, where they are known. runs: how many it is the mean of.
    """

    value: float
    error: float | None = None
    influences: Influences | None = None
    freedom: float = math.inf
    runs: int = 1


@dataclass(frozen=True)
class Difference:
    """Of two estimates, by their places in what was compared: `first` is the better.

    gap: how far the other is behind, at least 0. reach: half the width of the gap's 95 % interval, None where no error
    is known. p: probability of such a gap between equals, of both signs; None where not both errors are known.
    how: paired resampling, on `shared` samples of the same seeds; independent, where no seeds are shared; intervals,
    where nothing is known but these; runs, where one is a mean of several; one interval, where the other has no
    error that is known, so that the gap's own interval is wider; unknown.
    least: what the gap must exceed besides, INCONCLUSIVE of the larger value.
    """

    first: int
    second: int
    gap: float
    reach: float | None
    p: float | None
    how: How
    shared: int
    least: float

    @property
    def told_apart(self) -> bool:
        """Whether the gap is beyond both its interval and what is inconclusive."""
        if math.isinf(self.gap):
            return True
        return self.gap > max(self.reach or 0.0, self.least)


def differences(
    estimates: Sequence[Estimate],
    higher_is_better: bool,
    seed: int = 0,
    resamples: int = RESAMPLES,
    inconclusive: float = INCONCLUSIVE,
) -> list[Difference]:
    """Of all pairs, in the order of the places.

    Samples are drawn with repetition by Poisson weights (Hanley and MacGibbon 2006), one weight for each seed: so rows
    that drew with the same seeds are resampled together, and what they have in common cancels. Scores move by the mean
    influence of what was drawn, and by normal noise of the errors that no sample shows.

    seed: of the weights. inconclusive: see INCONCLUSIVE; 0 for what is counted exactly.
    """
    moved = _resampled([each.influences for each in estimates], seed, resamples)
    found = []
    for a, b in combinations(range(len(estimates)), 2):
        behind = estimates[b].value > estimates[a].value
        first, second = (a, b) if behind != higher_is_better or estimates[a].value == estimates[b].value else (b, a)
        found.append(_difference(first, second, estimates, moved, inconclusive))
    return found


def _difference(
    first: int, second: int, estimates: Sequence[Estimate], moved: Sequence[torch.Tensor | None], inconclusive: float
) -> Difference:
    one, other = estimates[first], estimates[second]
    gap = 0.0 if one.value == other.value else abs(one.value - other.value)
    largest = max(abs(one.value), abs(other.value))
    least = inconclusive * largest if math.isfinite(largest) else 0.0
    ours, theirs = moved[first], moved[second]
    if ours is not None and theirs is not None:
        shared = _shared(one.influences, other.influences)
        noise = (ours - theirs).abs()
        p = (1 + int((noise >= gap).sum())) / (len(noise) + 1)
        how = "paired" if shared > 1 else "independent"
        return Difference(first, second, gap, float(noise.quantile(LEVEL)), p, how, shared, least)
    known = [each for each in (one, other) if each.error is not None]
    if not known or math.isinf(gap):
        return Difference(first, second, gap, None, None, "unknown", 0, least)
    if len(known) == 1:
        half = reach(LEVEL, known[0].freedom) * (known[0].error or 0.0)
        return Difference(first, second, gap, half, None, "one interval", 0, least)
    error = math.hypot(one.error or 0.0, other.error or 0.0)
    freedom = _freedom(one, other)
    how = "runs" if max(one.runs, other.runs) > 1 else "intervals"
    p = two_sided(gap / error, freedom) if error else float(gap == 0)
    return Difference(first, second, gap, reach(LEVEL, freedom) * error, p, how, 0, least)


def _freedom(one: Estimate, other: Estimate) -> float:
    """Degrees of freedom of the error of a difference (Welch 1947)."""
    parts = [((each.error or 0.0) ** 2, each.freedom) for each in (one, other)]
    below = sum(square**2 / freedom for square, freedom in parts)
    return sum(square for square, _ in parts) ** 2 / below if below else math.inf


def _shared(one: Influences | None, other: Influences | None) -> int:
    """Samples that both drew with the same seeds."""
    if one is None or other is None or one.seeds is None or other.seeds is None:
        return 0
    return int(torch.isin(one.seeds, other.seeds).sum())


def _resampled(rows: Sequence[Influences | None], seed: int, resamples: int) -> list[torch.Tensor | None]:
    """float64 [resamples], how far each row's score moves; None where its influences are not known."""
    known = [each for each in rows if each is not None]
    if not known:
        return [None for _ in rows]
    places, total = _places(known)
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for start in range(0, resamples, max(1, _CELLS // total)):
        count = min(max(1, _CELLS // total), resamples - start)
        weights = torch.poisson(torch.ones(count, total), generator)
        parts.append([_moved(each, weights[:, at]) for each, at in zip(known, places, strict=True)])
    others = torch.Generator().manual_seed(seed + 1)
    found = iter([
        torch.cat(of_row) + each.unseen * torch.randn(resamples, dtype=torch.float64, generator=others)
        for each, of_row in zip(known, zip(*parts, strict=True), strict=True)
    ])  # fmt: skip
    return [None if each is None else next(found) for each in rows]


def _places(rows: Sequence[Influences]) -> tuple[list[torch.Tensor], int]:
    """Where among all weights each row's samples have theirs: equal seeds have one, others their own."""
    seeds = torch.cat([each.seeds for each in rows if each.seeds is not None] or [torch.empty(0, dtype=torch.int64)])
    known = seeds.unique()
    total, places = len(known), []
    for each in rows:
        if each.seeds is None:
            places.append(torch.arange(total, total + len(each.values)))
            total += len(each.values)
        else:
            places.append(torch.searchsorted(known, each.seeds))
    return places, total


def _moved(row: Influences, weights: torch.Tensor) -> torch.Tensor:
    """By weights [B, K]: the mean deviation, as small as the count of all samples makes it."""
    kept = len(row.values)
    deviations = row.values - row.values.mean()
    return (weights.double() @ deviations) / kept * (kept / row.count) ** 0.5
