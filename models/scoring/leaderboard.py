"""Scores of several models as ranked tables. Only what was taken in the same way is ranked together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ..errors import BadInput
from .headings import headings
from .metric import METRICS, Better
from .scores import Scores
from .taken_by import TakenBy, key_of, taken_by

COLUMNS: Final = {key: metric for key, metric in METRICS.items() if metric.column}
"""Metrics and costs that tables show, by their keys."""

FEW: Final = 2048
"""Samples below which a row is warned of: the least that FID of Inception's 2048 features asks for."""
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
    """One model.

    name: unlike that of every other row. number: its place among what was given, from 0.
    rank: from 1 within its group, equal values alike; None where it lacks what is sorted by.
    warnings: what a reader has to know of its numbers.
    """

    name: str
    number: int
    scores: Scores
    rank: int | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """Rows that were taken in one way, the best first, and the columns that at least one of them has.

    taken_by: see taken_by.py. heading: the same in words; no other group's is alike.
    """

    taken_by: TakenBy
    heading: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    @property
    def extractor(self) -> str:
        """Name of the extractor; empty where the scores need none."""
        return self.taken_by.get("extractor", "")

    @property
    def reference(self) -> str:
        """Name of the set that was compared with, as the first row calls it; empty where there is none."""
        return (self.rows[0].scores.provenance.get("reference") or {}).get("name", "")


@dataclass(frozen=True)
class Leaderboard:
    """sort_by: key of the column that ranks. groups: one for each way, in the order in which they came."""

    sort_by: str
    groups: tuple[Group, ...]


def leaderboard(scores: Sequence[Scores], sort_by: str = "fid") -> Leaderboard:
    """Rank rows among each other, by a key of COLUMNS, where their provenance says that they were taken in one way.

    All others come into groups of their own: their numbers cannot be compared.

    Raises:
        BadInput: no scores, or none that has what is sorted by.
    """
    if not scores:
        raise BadInput("scores_1: nothing is connected; connect the scores of at least one model.")
    if sort_by not in COLUMNS:
        raise BadInput(f"sort_by: there is no {sort_by!r}; choose one of {', '.join(COLUMNS)}.")
    if all(math.isnan(COLUMNS[sort_by].read(one).value) for one in scores):
        known = [key for key in COLUMNS if any(has(one, key) for one in scores)]
        raise BadInput(f"sort_by: no scores have {sort_by}; choose one of {', '.join(known) or 'nothing'}.")
    grouped: dict[str, list[Row]] = {}
    for number, (name, one) in enumerate(zip(_unlike([one.name for one in scores]), scores, strict=True)):
        grouped.setdefault(key_of(one.provenance), []).append(Row(name, number, one))
    provenances = [rows[0].scores.provenance for rows in grouped.values()]
    groups = (
        _group(taken_by(provenance), heading, rows, sort_by)
        for provenance, heading, rows in zip(provenances, headings(provenances), grouped.values(), strict=True)
    )
    return Leaderboard(sort_by, tuple(groups))


def _group(taken: TakenBy, heading: str, rows: Sequence[Row], sort_by: str) -> Group:
    devices = {device for row in rows if (device := _device(row.scores))}
    warned = [replace(row, warnings=_warnings(row.scores, taken, len(devices) > 1)) for row in rows]
    columns = columns_of(taken.get("extractor", ""), [row.scores for row in rows])
    return Group(taken, heading, columns, _ranked(warned, sort_by))


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


def _unlike(names: Iterable[str]) -> list[str]:
    seen: Counter[str] = Counter()
    unlike = []
    for name in names:
        seen[name] += 1
        unlike.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return unlike


def _warnings(scores: Scores, taken: TakenBy, devices_differ: bool) -> tuple[str, ...]:
    samples = taken.get("samples", 0)
    few = [f"few samples ({samples:,}): small differences mean nothing"] if 0 < samples < FEW else []
    device = _device(scores) if devices_differ else ""
    elsewhere = [f"speed and memory are those of {device}, others' of another device"] if device else []
    notes = [(score, part) for score in scores.scores for part in score.note.split("; ")]
    told = [
        f"{METRICS[score.metric].label}: {part.removeprefix(WARNING)}"
        for score, part in notes
        if part.startswith(WARNING) or (part and math.isnan(score.value))
    ]
    return (*few, *elsewhere, *told)


def _ranked(rows: Sequence[Row], sort_by: str) -> tuple[Row, ...]:
    sign = -1 if COLUMNS[sort_by].better == "higher" else 1
    keys = {row.number: sign * COLUMNS[sort_by].read(row.scores).value for row in rows}
    # Those without a value come last, and have no rank.
    ordered = sorted(rows, key=lambda row: (math.isnan(keys[row.number]), keys[row.number]))
    return tuple(replace(row, rank=_rank(keys[row.number], keys.values())) for row in ordered)


def _rank(key: float, keys: Iterable[float]) -> int | None:
    return None if math.isnan(key) else 1 + sum(other < key for other in keys)
