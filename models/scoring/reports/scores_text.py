"""Scores of one model in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..metric import METRICS, is_usual
from ..metrics.frechet_interval import AT_ZERO
from ..scores import Scores, extractor_of


def describe(scores: Scores) -> str:
    """The scores as lines to read."""
    lines = [scores.name, *_origin(scores.provenance)]
    extractor = extractor_of(scores)
    for score in scores.scores:
        metric = METRICS[score.metric]
        number = "-" if math.isnan(score.value) else AT_ZERO if AT_ZERO in score.note else f"{score.value:.6g}"
        spread = "" if score.spread is None else f" ± {score.spread:.3g}"
        interval = "" if score.low is None or score.high is None else f" [{score.low:.6g}, {score.high:.6g}]"
        rest = score.note.replace(f"warning: {AT_ZERO}; ", "")
        note = f" ({rest})" if rest else ""
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
        *_readers(provenance.get("readers", {}), extractor["name"]),
    ]


def _readers(readers: Mapping[str, list[str]], extractor: str) -> list[str]:
    """A warning where the two sets' files were read in different ways."""
    ours, theirs = readers.get("generated", []), readers.get("reference", [])
    if not ours or not theirs or ours == theirs:
        return []
    moved = "FID by some hundredths and more" if is_usual(extractor) else "its scores"
    return [
        f"  warning: the generated set's files were read by {' and '.join(ours)}, the reference's by "
        f"{' and '.join(theirs)}: JPEGs and many other files come out with other pixels, which moves {moved}. Read "
        "both alike: by Folder Features, or by Load Images of this pack instead of ComfyUI's Load Image."
    ]
