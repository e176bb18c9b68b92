"""Scores of one model: numbers with their uncertainty, what they cost, and where they come from."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from ..errors import BadInput
from .extractors.inception import NAME as INCEPTION

Better = Literal["lower", "higher"]

METRICS: Final[Mapping[str, tuple[str, Better]]] = {
    "fid": ("FID", "lower"),
    "fid_infinity": ("FID at infinity", "lower"),
    "kid": ("KID", "lower"),
    "inception_score": ("IS", "higher"),
    "sfid": ("sFID", "lower"),
    "compound_fid": ("Compound FID", "lower"),
    "precision": ("precision", "higher"),
    "recall": ("recall", "higher"),
    "density": ("density", "higher"),
    "coverage": ("coverage", "higher"),
    "psnr": ("PSNR, dB", "higher"),
    "ssim": ("SSIM", "higher"),
    "ms_ssim": ("MS-SSIM", "higher"),
    "lpips": ("LPIPS", "lower"),
    "clip_score": ("CLIP score", "higher"),
    "edit_done": ("edit done", "higher"),
    "old_object_gone": ("old object gone", "higher"),
    "untouched_psnr": ("PSNR outside the mask, dB", "higher"),
    "untouched_difference": ("greatest difference outside the mask", "lower"),
    "seam": ("seam", "lower"),
}
"""Key of every metric -> how tables call it, and which way is better."""

OF_FEATURES: Final = frozenset(
    {
        "fid",
        "fid_infinity",
        "kid",
        "inception_score",
        "sfid",
        "compound_fid",
        "precision",
        "recall",
        "density",
        "coverage",
    }
)
"""Metrics whose values mean nothing without their extractor."""


@dataclass(frozen=True)
class Score:
    """One number.

    metric: a key of METRICS. value: NaN where it could not be taken; `note` says why.
    spread: standard deviation over subsets or splits, where the metric has one.
    low, high: ends of its interval, where it has one; `note` says of which kind.
    """

    metric: str
    value: float
    spread: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Scores:
    """What is known of one model.

    name: of the model, as tables show it.
    scores: at most one of each metric.
    cost: such as parameters, weight_bytes, seconds_per_image, peak_bytes, evaluations; empty where none was measured.
    provenance: what the numbers came from, in values that JSON knows. Of features: "extractor" (name, identity,
        resize), "reference" (name, identity, samples), "samples", counts of rows, seeds, versions, ...
    """

    name: str
    scores: tuple[Score, ...]
    cost: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def score(self, metric: str) -> Score:
        """The score of a metric.

        Raises:
            BadInput: there is none of it; the message names those that there are.
        """
        for score in self.scores:
            if score.metric == metric:
                return score
        known = ", ".join(score.metric for score in self.scores) or "nothing"
        raise BadInput(f"metric: {self.name} has no {metric!r}; it has {known}.")

    def value(self, metric: str) -> float:
        """The number of a metric, NaN where there is none."""
        return next((score.value for score in self.scores if score.metric == metric), math.nan)


def extractor_of(scores: Scores) -> str:
    """Name of the extractor that scores were taken by; empty where they need none."""
    return scores.provenance.get("extractor", {}).get("name", "")


def label_of(metric: str, extractor: str) -> str:
    """How tables call a metric: by its extractor too, unless that is Inception, which the literature means."""
    name = METRICS[metric][0]
    return f"{name} ({extractor})" if metric in OF_FEATURES and extractor not in ("", INCEPTION) else name


def to_json(scores: Scores) -> str:
    """The scores as JSON that every parser reads: numbers that are not finite become null."""
    return json.dumps(_plain(asdict(scores)), indent=2, ensure_ascii=False, allow_nan=False)


def from_json(text: str) -> Scores:
    """What `to_json` has written.

    Raises:
        BadInput: it is something else.
    """
    try:
        value = json.loads(text)
        scores = tuple(
            Score(**{**score, "value": math.nan if score["value"] is None else score["value"]})
            for score in value["scores"]
        )
        return Scores(value["name"], scores, value["cost"], value["provenance"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"scores: not a report of this pack ({error}); give the JSON of a scoring node.") from error


def describe(scores: Scores) -> str:
    """The scores as lines to read."""
    lines = [scores.name, *_origin(scores.provenance)]
    for score in scores.scores:
        label, better = label_of(score.metric, extractor_of(scores)), METRICS[score.metric][1]
        number = "-" if math.isnan(score.value) else f"{score.value:.6g}"
        spread = "" if score.spread is None else f" ± {score.spread:.3g}"
        interval = "" if score.low is None or score.high is None else f" [{score.low:.6g}, {score.high:.6g}]"
        note = f" ({score.note})" if score.note else ""
        lines.append(f"  {label}: {number}{spread}{interval}, {better} is better{note}")
    lines += [f"  {name.replace('_', ' ')}: {_amount(value)}" for name, value in scores.cost.items()]
    return "\n".join(lines)


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _origin(provenance: Mapping[str, Any]) -> list[str]:
    """How the features were taken, where scores are of features."""
    if "extractor" not in provenance:
        return []
    extractor, reference = provenance["extractor"], provenance["reference"]
    return [
        f"  features: {extractor['name']}, resize {extractor['resize']}",
        f"  samples: {provenance['samples'] or 'unknown'}",
        f"  reference: {reference['name']}, {reference['samples'] or 'unknown'} samples",
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
