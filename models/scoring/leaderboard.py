"""Scores of several models as ranked tables. Only what was taken in the same way is ranked together, and rows that are
not told apart share a rank."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

from ..errors import BadInput
from .comparison.agreement import Agreement, kendall
from .comparison.bands import standings
from .comparison.differences import INCONCLUSIVE, Difference, differences
from .comparison.estimates import estimate
from .comparison.recipes import OneRow, as_one, runs_of
from .headings import headings
from .literature.tables import PublishedTable, is_verified, verified_rows
from .metric import METRICS, Better
from .scores import Scores, extractor_of
from .taken_by import TakenBy, key_of, taken_by

COLUMNS: Final = {key: metric for key, metric in METRICS.items() if metric.column}
"""Metrics and costs that tables show, by their keys."""

FEW: Final = 2048
"""Samples below which a row is warned of: the least that FID of Inception's 2048 features asks for."""
EXACT: Final = ("evaluations", "parameters", "weight_bytes")
"""Columns that are counted: any difference is one."""
WARNING: Final = "warning: "
"""Beginning of those parts of a score's note that a reader of the number has to know."""


@dataclass(frozen=True)
class Column:
    """key: of COLUMNS. label: as tables show it. better: which way."""

    key: str
    label: str
    better: Better


@dataclass(frozen=True)
class Row:
    """One model, or one recipe with all its runs.

    name: unlike that of every other row of its group. number: its place among what was given, from 0.
    rank: from 1 within its group, that of its band: rows that are not told apart have the same. None where it lacks
        what is sorted by.
    warnings: what a reader has to know of its numbers.
    places: from and to which place it can stand, where only rows that are told apart from it count.
    runs: what it is the mean of; empty where it is one run.
    """

    name: str
    number: int
    scores: Scores
    rank: int | None = None
    warnings: tuple[str, ...] = ()
    places: tuple[int, int] | None = None
    runs: tuple[Scores, ...] = ()


@dataclass(frozen=True)
class Group:
    """Rows that were taken in one way, the best first, and the columns that at least one of them has.

    taken_by: see taken_by.py. heading: the same in words; no other group's is alike.
    differences: in what is sorted by, of all pairs of rows that have it, by their places in `rows`. sort_by: its key.
    """

    taken_by: TakenBy
    heading: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    differences: tuple[Difference, ...] = ()
    sort_by: str = ""

    @property
    def bands(self) -> list[list[Row]]:
        """Ranked rows by their rank, the best first."""
        found: dict[int, list[Row]] = {}
        for row in self.rows:
            if row.rank is not None:
                found.setdefault(row.rank, []).append(row)
        return list(found.values())

    @property
    def extractor(self) -> str:
        """Name of the extractor; empty where the scores need none."""
        return self.taken_by.get("extractor", "")

    @property
    def sorted_by(self) -> str:
        """Name of what is sorted by, of features of its extractor."""
        return COLUMNS[self.sort_by].name_by(self.extractor) if self.sort_by else ""

    @property
    def reference(self) -> str:
        """Name of the set that was compared with, as the first row calls it; empty where there is none."""
        return (self.rows[0].scores.provenance.get("reference") or {}).get("name", "")


EMPTY: Final = Group({}, "nothing was measured", (), ())
"""Of no rows, where the literature stands alone."""


@dataclass(frozen=True)
class TwoOrders:
    """How two groups order the models that both have.

    first, second: places of the groups. agreement: of the values. contradicted: names of pairs that the first group
    puts in this order and the second in the other, both told apart.
    """

    first: int
    second: int
    agreement: Agreement
    contradicted: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Leaderboard:
    """sort_by: key of the column that ranks. groups: one for each way, in the order in which they came.
    orders: of every two groups of different extractors that have at least two models in common.
    published: what the literature states, to stand under the rows and never among them."""

    sort_by: str
    groups: tuple[Group, ...]
    orders: tuple[TwoOrders, ...] = ()
    published: tuple[PublishedTable, ...] = ()

    @property
    def sorted_by(self) -> str:
        """What is sorted by, by every name that the groups have for it."""
        names = dict.fromkeys(group.sorted_by for group in self.groups)
        return " and ".join(names) or COLUMNS[self.sort_by].label


def leaderboard(
    scores: Sequence[Scores],
    sort_by: str = "fid",
    one_row: OneRow = "seeds",
    published: Sequence[PublishedTable] = (),
) -> Leaderboard:
    """Rank rows among each other, by a key of COLUMNS, where their provenance says that they were taken in one way.

    All others come into groups of their own: their numbers cannot be compared. Rows whose difference is not beyond its
    interval and 1.3 % share a rank, see `comparison`.

    one_row: which scores are runs of one recipe, and make one row. published: tables of the literature; those that were
        verified to be taken in the way of a group are ranked there, all others stand below.

    Raises:
        BadInput: no scores, or none that has what is sorted by.
    """
    if not scores and not published:
        raise BadInput("scores_1: nothing is connected; connect the scores of at least one model.")
    ways = {key_of(one.provenance) for one in scores}
    scores = [*scores, *verified_rows(published, scores)]
    below = tuple(table for table in published if not is_verified(table, ways))
    if sort_by not in COLUMNS:
        raise BadInput(f"sort_by: there is no {sort_by!r}; choose one of {', '.join(COLUMNS)}.")
    if scores and all(math.isnan(COLUMNS[sort_by].read(one).value) for one in scores):
        known = [key for key in COLUMNS if any(has(one, key) for one in scores)]
        raise BadInput(f"sort_by: no scores have {sort_by}; choose one of {', '.join(known) or 'nothing'}.")
    grouped: dict[str, list[Row]] = {}
    for numbers in runs_of(scores, one_row):
        runs = tuple(scores[number] for number in numbers) if len(numbers) > 1 else ()
        one = as_one(runs) if runs else scores[numbers[0]]
        grouped.setdefault(key_of(one.provenance), []).append(Row(one.name, numbers[0], one, runs=runs))
    provenances = [rows[0].scores.provenance for rows in grouped.values()]
    groups = tuple(
        _group(taken_by(provenance), heading, _unlike(rows), sort_by)
        for provenance, heading, rows in zip(provenances, headings(provenances), grouped.values(), strict=True)
    )
    orders = (_two_orders(groups, pair, sort_by) for pair in combinations(range(len(groups)), 2))
    return Leaderboard(sort_by, groups, tuple(filter(None, orders)), below)


def _two_orders(groups: Sequence[Group], pair: tuple[int, int], sort_by: str) -> TwoOrders | None:
    first, second = (groups[place] for place in pair)
    if not first.extractor or not second.extractor or first.extractor == second.extractor:
        return None
    ours, theirs = ({row.name: place for place, row in enumerate(group.rows) if row.rank} for group in (first, second))
    names = [name for name in ours if name in theirs]
    if len(names) < 2:
        return None
    values = [
        [_value(group.rows[at[name]], sort_by) for name in names] for group, at in ((first, ours), (second, theirs))
    ]
    apart = [
        {(group.rows[each.first].name, group.rows[each.second].name) for each in group.differences if each.told_apart}
        for group in (first, second)
    ]
    contradicted = tuple((a, b) for a, b in sorted(apart[0]) if (b, a) in apart[1])
    return TwoOrders(*pair, kendall(*values), contradicted)


def _value(row: Row, key: str) -> float:
    return COLUMNS[key].read(row.scores).value


def _group(taken: TakenBy, heading: str, rows: Sequence[Row], sort_by: str) -> Group:
    devices = {device for row in rows if (device := _device(row.scores))}
    warned = [replace(row, warnings=_warnings(row.scores, taken, len(devices) > 1)) for row in rows]
    columns = columns_of(taken.get("extractor", ""), [row.scores for row in rows])
    return Group(taken, heading, columns, *_ranked(warned, sort_by), sort_by)


def _device(scores: Scores) -> str:
    """Where the cost was measured; empty where none was, or where it is not told."""
    return scores.provenance.get("device", "") if "seconds_per_image" in scores.cost else ""


def has(scores: Scores, key: str) -> bool:
    """Whether a model has a number, or says why it has none, in a column."""
    found = COLUMNS[key].read(scores)
    return not math.isnan(found.value) or bool(found.note)


def columns_of(extractor: str, scores: Sequence[Scores]) -> tuple[Column, ...]:
    """The columns that at least one of the models has, in the order of COLUMNS."""
    return tuple(
        Column(key, metric.label_by(extractor), metric.better)
        for key, metric in COLUMNS.items()
        if any(has(one, key) for one in scores)
    )


def best(group: Group, column: Column) -> float:
    """The best value of a column, NaN where no row has one, or where all of several are equal."""
    values = [value for row in group.rows if not math.isnan(value := COLUMNS[column.key].read(row.scores).value)]
    if len(values) > 1 and len(set(values)) == 1:
        return math.nan
    return (max if column.better == "higher" else min)(values, default=math.nan)


def is_best(group: Group, column: Column, row: Row) -> bool:
    """Whether a row has the best value of a column; of the one that is sorted by, whether it is in the first band."""
    if column.key == group.sort_by and len(group.bands) > 1:
        return row.rank == 1
    return COLUMNS[column.key].read(row.scores).value == best(group, column)


def _unlike(rows: Iterable[Row]) -> list[Row]:
    seen: Counter[str] = Counter()
    unlike = []
    for row in rows:
        seen[row.name] += 1
        unlike.append(row if seen[row.name] == 1 else replace(row, name=f"{row.name} ({seen[row.name]})"))
    return unlike


def _warnings(scores: Scores, taken: TakenBy, devices_differ: bool) -> tuple[str, ...]:
    samples = taken.get("samples", 0)
    few = [f"few samples ({samples:,}): small differences mean nothing"] if 0 < samples < FEW else []
    device = _device(scores) if devices_differ else ""
    elsewhere = [f"speed and memory are those of {device}, others' of another device"] if device else []
    notes = [(score, part) for score in scores.scores for part in score.note.split("; ")]
    told = [
        f"{METRICS[score.metric].name_by(extractor_of(scores))}: {part.removeprefix(WARNING)}"
        for score, part in notes
        if part.startswith(WARNING) or (part and math.isnan(score.value))
    ]
    return (*few, *elsewhere, *told)


def _ranked(rows: Sequence[Row], sort_by: str) -> tuple[tuple[Row, ...], tuple[Difference, ...]]:
    higher = COLUMNS[sort_by].better == "higher"
    sign = -1 if higher else 1
    # Those without a value come last, and have no rank.
    ordered = sorted(rows, key=lambda row: (math.isnan(_value(row, sort_by)), sign * _value(row, sort_by)))
    values = [_value(row, sort_by) for row in ordered]
    estimates = [
        estimate(row.scores, sort_by, row.runs)
        for row, value in zip(ordered, values, strict=True)
        if not math.isnan(value)
    ]
    found = differences(estimates, higher, inconclusive=0.0 if sort_by in EXACT else INCONCLUSIVE)
    ranked = (
        row if standing is None else replace(row, rank=standing.rank, places=standing.places)
        for row, standing in zip(ordered, standings(values, found, higher), strict=True)
    )
    return tuple(ranked), tuple(found)
