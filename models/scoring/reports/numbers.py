"""Numbers as tables show them."""

from __future__ import annotations

import math
from typing import Final

from ..metric import METRICS
from ..metrics.frechet_interval import AT_ZERO
from ..scores import Score

ABSENT: Final = "–"
UNITS: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
"""Factor and prefix of large numbers and of bytes, decimal."""


def number(key: str, value: float) -> str:
    """A value as tables show it."""
    if math.isnan(value):
        return ABSENT
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    unit = METRICS[key].unit
    if unit in ("share", "ratio"):
        return f"{value:.3f}"
    if unit == "bytes":
        return f"{_prefixed(value)}B"
    if abs(value) >= 1000:
        return _prefixed(value).strip() if unit == "count" else f"{value:,.0f}"
    return f"{value:.3g}"


def shown(score: Score) -> str:
    """The value of a score; of one that is within the noise of 0, that it is."""
    return "≈ 0" if AT_ZERO in score.note else number(score.metric, score.value)


def uncertainty(key: str, score: Score) -> str:
    """The interval of a score, else its spread; empty where it has neither."""
    if score.low is not None and score.high is not None:
        return f"[{number(key, score.low)}, {number(key, score.high)}]"
    return "" if score.spread is None else f"± {score.spread:.2g}"


def _prefixed(value: float) -> str:
    for factor, prefix in UNITS:
        if value >= factor:
            return f"{value / factor:.3g} {prefix}"
    return f"{value:.3g} "
