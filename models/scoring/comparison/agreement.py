"""Whether two ways of judging put models in the same order: Kendall's tau."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple


class Agreement(NamedTuple):
    """tau: Kendall's tau-b (Kendall 1945), 1 for the same order, -1 for the reverse; NaN where one orders nothing.
    p: two-sided probability of such a tau among models in no order, by the normal approximation; NaN likewise.
    count: of models.
    """

    tau: float
    p: float
    count: int


def kendall(one: Sequence[float], other: Sequence[float]) -> Agreement:
    """Of two lists of numbers of the same models; models with a NaN in either do not count."""
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if not (math.isnan(a) or math.isnan(b))]
    agreeing, untied_one, untied_other = 0, 0, 0
    for (a, b), (c, d) in combinations(pairs, 2):
        first, second = _sign(a, c), _sign(b, d)
        agreeing += first * second
        untied_one += first != 0
        untied_other += second != 0
    if not untied_one or not untied_other:
        return Agreement(math.nan, math.nan, len(pairs))
    return Agreement(agreeing / math.sqrt(untied_one * untied_other), _probability(agreeing, pairs), len(pairs))


def _sign(a: float, b: float) -> int:
    return (a > b) - (a < b)


def _probability(agreeing: int, pairs: Sequence[tuple[float, float]]) -> float:
    """By the variance of the sum of agreements with ties (Kendall 1970, chapter 4)."""
    n = len(pairs)
    ties = [[column.count(value) for value in set(column)] for column in map(list, zip(*pairs, strict=True))]
    v0 = n * (n - 1) * (2 * n + 5)
    vt, vu = (sum(t * (t - 1) * (2 * t + 5) for t in each) for each in ties)
    first = [sum(t * (t - 1) for t in each) for each in ties]
    second = [sum(t * (t - 1) * (t - 2) for t in each) for each in ties]
    variance = (v0 - vt - vu) / 18 + first[0] * first[1] / (2 * n * (n - 1))
    variance += second[0] * second[1] / (9 * n * (n - 1) * (n - 2)) if n > 2 else 0.0
    return math.erfc(abs(agreeing) / math.sqrt(2 * variance)) if variance > 0 else math.nan
