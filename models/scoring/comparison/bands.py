"""Ranks as bands: rows that are not told apart share one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from .differences import Difference


class Standing(NamedTuple):
    """Of one row. rank: from 1, that of its band: one more than there are rows in better bands.
    places: from and to which place it can stand, where only rows that are told apart from it count."""

    rank: int
    places: tuple[int, int]


def standings(values: Sequence[float], found: Sequence[Difference], higher_is_better: bool) -> list[Standing | None]:
    """Of every row, by its place in `values`; None of those whose value is NaN.

    found: the differences of all that have one. Two rows that are not told apart share a band, and so do all between
    them and all that are not told apart from these: a band can hold rows that are told apart, whose `places` say so.
    """
    sign = -1 if higher_is_better else 1
    order = sorted((at for at, value in enumerate(values) if not math.isnan(value)), key=lambda at: sign * values[at])
    place = {row: number for number, row in enumerate(order)}
    # How far down the order the band of each place must go.
    ends = list(range(len(order)))
    better, worse = [0] * len(values), [0] * len(values)
    for each in found:
        if each.told_apart:
            better[each.second] += 1
            worse[each.first] += 1
        else:
            low, high = sorted((place[each.first], place[each.second]))
            ends[low] = max(ends[low], high)
    ranks, begun, end = [], 0, -1
    for number in range(len(order)):
        if number > end:
            begun = number
        end = max(end, ends[number])
        ranks.append(begun + 1)
    return [
        Standing(ranks[place[row]], (better[row] + 1, len(order) - worse[row])) if row in place else None
        for row in range(len(values))
    ]
