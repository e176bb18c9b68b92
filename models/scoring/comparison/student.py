"""Student's t distribution, for means over a few runs: its tails and quantiles without SciPy."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final

_PARTS: Final = 2000
"""Of the angle over which the density is integrated by Simpson's rule."""


def two_sided(t: float, freedom: float) -> float:
    """Probability of a value at least as far from 0. freedom: degrees of freedom; infinite is the normal distribution.

    With t = freedom^(1/2) tan(a) the density is proportional to cos(a)^(freedom - 1).
    """
    if math.isinf(freedom):
        return 2 * NormalDist().cdf(-abs(t))
    angle = math.atan(abs(t) / math.sqrt(freedom))
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
    step = (math.pi / 2 - angle) / _PARTS
    weights = (1 if place in (0, _PARTS) else 4 if place % 2 else 2 for place in range(_PARTS + 1))
    # At the right angle the cosine is 0 but for rounding, and freedom may be 1.
    heights = (max(0.0, math.cos(angle + place * step)) ** (freedom - 1) for place in range(_PARTS + 1))
    return min(1.0, 2 * scale * step / 3 * sum(w * h for w, h in zip(weights, heights, strict=True)))


def reach(level: float, freedom: float) -> float:
    """Half the width of the interval around 0 that holds this probability."""
    if math.isinf(freedom):
        return NormalDist().inv_cdf((1 + level) / 2)
    low, high = 0.0, 1.0
    while two_sided(high, freedom) > 1 - level:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided(middle, freedom) > 1 - level else (low, middle)
    return high
