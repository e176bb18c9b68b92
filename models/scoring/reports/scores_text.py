"""Scores of one model in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..metric import METRICS
from ..scores import Scores, extractor_of


def describe(scores: Scores) -> str:
    """The scores as lines to read."""
    lines = [scores.name, *_origin(scores.provenance)]
    extractor = extractor_of(scores)
    for score in scores.scores:
        metric = METRICS[score.metric]
        number = "-" if math.isnan(score.value) else f"{score.value:.6g}"
        spread = "" if score.spread is None else f" ± {score.spread:.3g}"
        interval = "" if score.low is None or score.high is None else f" [{score.low:.6g}, {score.high:.6g}]"
        note = f" ({score.note})" if score.note else ""
        lines.append(f"  {metric.label_by(extractor)}: {number}{spread}{interval}, {metric.better} is better{note}")
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
