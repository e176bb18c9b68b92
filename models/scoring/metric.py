"""The metrics and costs of models: what each is called, which way it is better, and where its number comes from.

A new one is a function in `metrics/`, its test against a published implementation, and its line here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from .extractors.inception import NAME as INCEPTION
from .metrics.compound import score_compound_fid
from .metrics.frechet_interval import score_fid, score_fid_infinity
from .metrics.inception_score import score_classes
from .metrics.kernel import score_cmmd, score_kid
from .metrics.mind import score_mind
from .metrics.neighbours import scorer
from .metrics.spatial import score_sfid
from .scores import Score, Scores
from .set_pair import SetPair

Better = Literal["lower", "higher"]
Axis = Literal["quality", "coverage", "speed"]
Unit = Literal["plain", "share", "ratio", "bytes", "count"]
Cost = Mapping[str, float]


@dataclass(frozen=True)
class Metric:
    """One line of METRICS.

    key: how scores, inputs and reports call it, for ever. label: how tables do. better: its better end.
    unit: how it is written: a share is from 0 to 1, a ratio is about 1; "plain" is any other number.
    axis: side of the trilemma that it can stand for; None where none.
    of_features: takes it of two sets of features, whose extractor its value means nothing without; None of the sets
        lack what it is taken of. None for metrics of pictures, which their nodes take.
    of_cost: takes it of what was measured, NaN where it was not; None for what is no cost.
    column: whether leaderboards have a column of it.
    """

    key: str
    label: str
    better: Better
    unit: Unit = "plain"
    axis: Axis | None = None
    of_features: Callable[[SetPair], Score | None] | None = None
    of_cost: Callable[[Cost], float] | None = None
    column: bool = True

    def name_by(self, extractor: str) -> str:
        """What it is of features of this extractor: FID is Inception's, of any other network it is FD, the Fréchet
        distance; so are sFID, Compound FID and FID at infinity. Without an extractor it is the label."""
        return by_extractor(self.label, extractor) if self.of_features is not None else self.label

    def label_by(self, extractor: str) -> str:
        """`name_by`, and the extractor too, unless that is Inception, which the literature means, or none."""
        name = self.name_by(extractor)
        return f"{name} ({extractor})" if self.of_features is not None and not is_usual(extractor) else name

    def read(self, scores: Scores) -> Score:
        """What a model has of it; NaN where it has nothing."""
        if self.of_cost is not None:
            return Score(self.key, self.of_cost(scores.cost))
        return next((score for score in scores.scores if score.metric == self.key), Score(self.key, math.nan))


def is_usual(extractor: str) -> bool:
    """Whether FID is called so where this network took the features: it is Inception, or none that is told."""
    return extractor in ("", INCEPTION)


def by_extractor(text: str, extractor: str) -> str:
    """A text in which FID is FD where another network than Inception took the features."""
    return text if is_usual(extractor) else text.replace("FID", "FD")


def measured(key: str) -> Callable[[Cost], float]:
    """The cost of this key."""
    return lambda cost: cost.get(key, math.nan)


def speed(cost: Cost) -> float:
    """Images per second."""
    seconds = cost.get("seconds_per_image", math.nan)
    return 1 / seconds if seconds > 0 else math.nan


def _table(*lines: Metric) -> dict[str, Metric]:
    return {line.key: line for line in lines}


METRICS: Final[Mapping[str, Metric]] = _table(
    Metric("fid", "FID", "lower", axis="quality", of_features=score_fid),
    Metric("fid_infinity", "FID at infinity", "lower", axis="quality", of_features=score_fid_infinity),
    Metric("kid", "KID", "lower", axis="quality", of_features=score_kid),
    Metric("cmmd", "CMMD", "lower", axis="quality", of_features=score_cmmd),
    Metric("mind", "MIND", "lower", axis="quality", of_features=score_mind),
    Metric("inception_score", "IS", "higher", axis="quality", of_features=score_classes),
    Metric("sfid", "sFID", "lower", axis="quality", of_features=score_sfid),
    Metric("compound_fid", "Compound FID", "lower", axis="quality", of_features=score_compound_fid),
    Metric("precision", "precision", "higher", "share", "quality", scorer("precision")),
    Metric("recall", "recall", "higher", "share", "coverage", scorer("recall")),
    Metric("density", "density", "higher", "ratio", "quality", scorer("density")),
    Metric("coverage", "coverage", "higher", "share", "coverage", scorer("coverage")),
    Metric("vendi", "Vendi score", "higher", axis="coverage", of_features=lambda pair: pair.diversities.get("vendi")),
    Metric(
        "vendi_truncated",
        "truncated Vendi score",
        "higher",
        axis="coverage",
        of_features=lambda pair: pair.diversities.get("vendi_truncated"),
    ),
    Metric("rke", "RKE", "higher", axis="coverage", of_features=lambda pair: pair.diversities.get("rke")),
    Metric("authpct", "AuthPct", "higher", of_features=lambda pair: pair.copies.get("authpct")),
    Metric("c_t", "C_T", "higher", of_features=lambda pair: pair.copies.get("c_t")),
    Metric("fld", "FLD", "lower", of_features=lambda pair: pair.likelihoods.get("fld")),
    Metric("fld_gap", "FLD gap", "higher", of_features=lambda pair: pair.likelihoods.get("fld_gap")),
    Metric("known_precision", "known precision", "higher", "share"),
    Metric("known_recall", "known recall", "higher", "share"),
    Metric("psnr", "PSNR, dB", "higher"),
    Metric("ssim", "SSIM", "higher", "ratio"),
    Metric("ms_ssim", "MS-SSIM", "higher", "ratio"),
    Metric("lpips", "LPIPS", "lower"),
    Metric("spectral_slope", "spectral slope", "higher"),
    Metric("high_frequencies_lost", "high frequencies lost", "lower", "ratio"),
    Metric("clip_score", "CLIP score", "higher"),
    Metric("prompts_right", "prompts right", "higher", "share"),
    Metric("single_object", "single object", "higher", "share"),
    Metric("two_object", "two objects", "higher", "share"),
    Metric("counting", "counting", "higher", "share"),
    Metric("colors", "colours", "higher", "share"),
    Metric("position", "position", "higher", "share"),
    Metric("color_attr", "colour attribution", "higher", "share"),
    Metric("edit_done", "edit done", "higher", "share"),
    Metric("old_object_gone", "old object gone", "higher", "share"),
    Metric("untouched_psnr", "PSNR outside the mask, dB", "higher"),
    Metric("untouched_difference", "greatest difference outside the mask", "lower"),
    Metric("seam", "seam", "lower"),
    Metric("images_per_second", "images/s", "higher", axis="speed", of_cost=speed),
    Metric("seconds_per_image", "seconds per image", "lower", of_cost=measured("seconds_per_image"), column=False),
    Metric("evaluations", "network calls", "lower", of_cost=measured("evaluations")),
    Metric("parameters", "parameters", "lower", "count", of_cost=measured("parameters")),
    Metric("weight_bytes", "weights", "lower", "bytes", of_cost=measured("weight_bytes")),
    Metric("peak_bytes", "peak memory", "lower", "bytes", of_cost=measured("peak_bytes")),
)
"""By their keys, in the order of tables: metrics, then costs."""


def keys_of(axis: Axis) -> list[str]:
    """Those that can stand for a side of the trilemma."""
    return [key for key, metric in METRICS.items() if metric.axis == axis]
