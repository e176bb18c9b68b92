"""What the errors of a row's scores are: from its samples, its runs, its interval, or its spread."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist, fmean, stdev
from typing import Any, Final

from ..metric import METRICS
from ..metrics.frechet_interval import LEVEL
from ..scores import Score, Scores
from ..taken_by import taken_by
from .differences import Estimate
from .influences import Influences
from .recipes import drawn_from

PARTS: Final[Mapping[str, str]] = {
    "inception_score": "splits",
    **dict.fromkeys(("psnr", "ssim", "ms_ssim", "lpips", "clip_score"), "images"),
}
"""Metric -> what its spread is the standard deviation of, as taken_by counts them: disjoint parts, over which it is a
mean. KID's subsets share samples; its spread stands for its error, which is smaller."""


def estimate(scores: Scores, key: str, runs: Sequence[Scores] = ()) -> Estimate:
    """A score or cost of a row. runs: those that it is the mean of, none where it is one run."""
    score = METRICS[key].read(scores)
    if runs:
        return _of_runs(score.value, [estimate(run, key) for run in runs], _one_model(runs))
    influences = scores.influences(key) if scores.influences else None
    if influences is not None:
        if METRICS[key].unit == "share":
            influences = influences.of_share()
        elif len(influences.values) < 2:
            influences = None
    return Estimate(score.value, _error(score, influences, scores.provenance), influences)


def _error(score: Score, influences: Influences | None, provenance: Mapping[str, Any]) -> float | None:
    if influences is not None:
        return influences.standard_error
    if score.high is not None:
        # The lower end stops at 0, and a share's upper end at 1.
        below = score.value - score.low if score.low is not None else 0.0
        return max(score.high - score.value, below) / NormalDist().inv_cdf((1 + LEVEL) / 2)
    if score.spread is None:
        return None
    parts = taken_by(provenance).get(PARTS.get(score.metric, ""), 1)
    return score.spread / max(1, parts or 1) ** 0.5


def _one_model(runs: Sequence[Scores]) -> bool:
    models = {drawn_from(run) for run in runs}
    return len(models) == 1 and None not in models


def _of_runs(value: float, runs: Sequence[Estimate], one_model: bool) -> Estimate:
    """Of seeds of one model the errors of the runs, where they are known; else what the runs differ by."""
    errors = [run.error for run in runs if run.error is not None]
    if one_model and len(errors) == len(runs):
        return Estimate(value, math.hypot(*errors) / len(runs), runs=len(runs))
    values = [run.value for run in runs]
    if not all(map(math.isfinite, values)) or not math.isclose(fmean(values), value, rel_tol=1e-9, abs_tol=1e-12):
        return Estimate(value, runs=len(runs))
    return Estimate(value, stdev(values) / len(runs) ** 0.5, freedom=len(runs) - 1, runs=len(runs))
