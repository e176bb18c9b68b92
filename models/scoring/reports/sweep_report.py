"""A sweep in words and as JSON."""

from __future__ import annotations

import json
import math
from typing import Any, Final

from ..benchmark.sweep import Sweep
from ..metric import METRICS, by_extractor
from ..scores import extractor_of
from ..scores import to_json as scores_to_json

KEYS: Final = ("fid", "inception_score", "precision", "recall", "seconds_per_image")
"""Columns of the table."""


def to_json(found: Sweep) -> str:
    """Everything as JSON; `knees` holds values of the option."""
    told: dict[str, Any] = {
        "option": found.option,
        "values": list(found.values),
        "knees": {name: None if place is None else found.values[place] for name, place in found.knees.items()},
        "scores": [json.loads(scores_to_json(scores)) for scores in found.scores],
    }
    return json.dumps(told, indent=2, ensure_ascii=False)


def describe(found: Sweep) -> str:
    """A table with a line for each value, and where the knees are."""
    extractor = extractor_of(found.scores[0])
    table = [[found.option, *(METRICS[key].name_by(extractor) for key in KEYS)]]
    for value, scores in zip(found.values, found.scores, strict=True):
        numbers = [METRICS[key].read(scores).value for key in KEYS]
        table.append([f"{value:g}", *("-" if math.isnan(number) else f"{number:.4g}" for number in numbers)])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in table]
    told = found.scores[0].provenance
    lines.insert(0, f"features: {extractor}, resize {told['extractor']['resize']}, {told['samples']} samples each")
    for name, place in found.knees.items():
        where = "none" if place is None else f"{found.option} = {found.values[place]:g}"
        lines.append(f"knee of {by_extractor(name, extractor)}: {where}")
    return "\n".join(lines)
