"""Which rows of a leaderboard are told apart, and where two orders disagree, in words."""

from __future__ import annotations

import math
from typing import Any

from ..comparison.differences import INCONCLUSIVE, RESAMPLES, Difference
from ..leaderboard import COLUMNS, EXACT, Group, Leaderboard, Row, TwoOrders
from ..scores import finite_or_none
from .numbers import ABSENT, number


def rank(row: Row) -> str:
    """From and to which place a row can stand."""
    if row.places is None:
        return ABSENT
    first, last = row.places
    return str(first) if first == last else f"{first}–{last}"


def p_value(p: float) -> str:
    """A probability, as papers write it."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def lines(group: Group, key: str) -> list[str]:
    """Of all neighbours in the order, and of rows of one band that are told apart all the same."""
    pairs = [each for each in group.differences if _is_told(group, each)]
    return [_line(group, each, key) for each in sorted(pairs, key=lambda each: (each.first, each.second))]


def _is_told(group: Group, each: Difference) -> bool:
    same_band = group.rows[each.first].rank == group.rows[each.second].rank
    return abs(each.first - each.second) == 1 or (same_band and each.told_apart)


def _line(group: Group, each: Difference, key: str) -> str:
    first, second = (group.rows[place].name for place in (each.first, each.second))
    if each.told_apart:
        probability = f", {p_value(each.p)}" if each.p is not None else ""
        return f"{first} before {second}{probability}: {_gap(group, each, key)}"
    return f"{first} and {second} are not told apart: {_gap(group, each, key)}{_why(each)}"


def _gap(group: Group, each: Difference, key: str) -> str:
    gap = f"{number(key, each.gap)} of {COLUMNS[key].name_by(group.extractor)}"
    if each.reach is None:
        return f"{gap}, no interval known"
    low, high = (number(key, end) for end in (each.gap - each.reach, each.gap + each.reach))
    return f"{gap} [{low}, {high}], {_how(each)}"


def _how(each: Difference) -> str:
    if each.how == "paired":
        return f"{each.shared:,} samples with the same seeds resampled in pairs"
    if each.how == "runs":
        return "by the means of runs"
    if each.how == "one interval":
        return "by the interval of one, as the other has none"
    if each.how == "independent":
        return "resampled independently: no seeds are shared"
    return "by their intervals: nothing is kept to resample"


def _why(each: Difference) -> str:
    """Where p alone would tell them apart."""
    if each.reach is not None and each.gap > each.reach:
        return f"{f', {p_value(each.p)}' if each.p is not None else ''}, but less than {INCONCLUSIVE:.1%}"
    return f", {p_value(each.p)}" if each.p is not None and each.gap else ""


def rule(key: str) -> str:
    """How bands come about."""
    if key in EXACT:
        return "Rows share a rank where they are equal."
    return (
        f"Rows share a rank unless their gap is beyond its 95 % interval ({RESAMPLES:,} resamples, where samples were "
        f"kept) and beyond {INCONCLUSIVE:.1%} of the larger value: by so much FID varies when a model is trained again "
        "(arXiv:2606.20536)."
    )


def orders(board: Leaderboard) -> list[str]:
    """Where groups of different extractors order the same models, a line for each two."""
    return [_order(board, each) for each in board.orders]


def _order(board: Leaderboard, each: TwoOrders) -> str:
    groups = [board.groups[place] for place in (each.first, each.second)]
    first, second = (group.extractor for group in groups)
    tau, _, count = each.agreement
    what = f"{count} models by {' and '.join(dict.fromkeys(group.sorted_by for group in groups))}"
    if math.isnan(tau):
        return f"{first} and {second}: one of them orders none of {what}."
    same = "in the same order" if tau == 1 else "in different orders"
    told = f"{first} and {second} put {what} {same} (Kendall's tau = {tau:.2f})"
    if not each.contradicted:
        end = "" if tau == 1 else "; no two models that both tell apart are turned round"
        return f"{told}{end}."
    turned = ", ".join(f"{a} before {b}" for a, b in each.contradicted)
    return f"{told}; beyond noise {first} has {turned}, and {second} has the reverse."


def plain(group: Group, each: Difference) -> dict[str, Any]:
    """A difference as JSON tells it."""
    return {
        "first": group.rows[each.first].name,
        "second": group.rows[each.second].name,
        "gap": finite_or_none(each.gap),
        "reach": each.reach,
        "p": each.p,
        "how": each.how,
        "shared_seeds": each.shared,
        "told_apart": each.told_apart,
    }
