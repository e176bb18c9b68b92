"""Scores of one model: numbers with their uncertainty, what they cost, and where they come from."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..errors import BadInput
from ..texts import parsed_json
from . import sample_pictures

if TYPE_CHECKING:
    import torch

    from .comparison.influences import InfluencesOf


@dataclass(frozen=True)
class Score:
    """One number.

    metric: a key of metric.METRICS. value: NaN where it could not be taken; `note` says why.
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
    influences: how much each sample matters, by the key of a metric, as long as the scores are in memory; reports do
        not hold it.
    pictures: small copies, uint8 [n, h, w, 3], of the first of the samples that the provenance calls "best" and
        "worst", by these names; empty where none were drawn.
    """

    name: str
    scores: tuple[Score, ...]
    cost: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    influences: InfluencesOf | None = field(default=None, compare=False, repr=False)
    pictures: Mapping[str, torch.Tensor] = field(default_factory=dict, compare=False, repr=False)

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


def to_json(scores: Scores, pictures: bool = False) -> str:
    """The scores as JSON that every parser reads: numbers that are not finite become null.

    pictures: whether those of samples are in it, as PNGs in base64.
    """
    told = asdict(replace(scores, influences=None, pictures={}))
    del told["influences"], told["pictures"]
    if pictures and scores.pictures:
        told["pictures"] = {end: sample_pictures.to_texts(found) for end, found in scores.pictures.items()}
    return json.dumps(_plain(told), indent=2, ensure_ascii=False, allow_nan=False)


def from_json(text: str) -> Scores:
    """What `to_json` has written.

    Raises:
        BadInput: it is something else.
    """
    try:
        value = parsed_json(text)
        scores = tuple(
            Score(**{**score, "value": math.nan if score["value"] is None else score["value"]})
            for score in value["scores"]
        )
        # Since 0.2.
        pictures = sample_pictures.read(value.get("pictures") or {})
        return Scores(value["name"], scores, value["cost"], value["provenance"], pictures=pictures)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"scores: not a report of this pack ({error}); give the JSON of a scoring node.") from error


def finite_or_none(value: float) -> float | None:
    """What JSON can hold of a number."""
    return value if math.isfinite(value) else None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return finite_or_none(value) if isinstance(value, float) else value
