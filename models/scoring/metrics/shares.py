"""Shares of pictures and their means, with intervals that hold for few pictures and for shares of 0 and 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean
from typing import NamedTuple

from .frechet_interval import LEVEL


class Share(NamedTuple):
    """value: 0..1. low, high: ends of its 95 % interval. count: of what it is a share."""

    value: float
    low: float
    high: float
    count: int


def share(outcomes: Sequence[bool]) -> Share:
    """The share that holds, of at least one, with Wilson's score interval (Wilson 1927)."""
    count, value = len(outcomes), fmean(outcomes)
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    centre = (value + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(value * (1 - value) / count + (z / (2 * count)) ** 2)
    # Exact at the ends, which rounding would miss.
    low = 0.0 if value == 0 else max(0.0, centre - half)
    high = 1.0 if value == 1 else min(1.0, centre + half)
    return Share(value, low, high, count)


def mean_of(shares: Sequence[Share]) -> Share:
    """Their mean, each with the same weight; its interval from theirs (Zou and Donner 2008)."""
    value = fmean(each.value for each in shares)
    below = math.sqrt(sum((each.value - each.low) ** 2 for each in shares)) / len(shares)
    above = math.sqrt(sum((each.high - each.value) ** 2 for each in shares)) / len(shares)
    return Share(value, value - below, value + above, sum(each.count for each in shares))
