"""Published rows: what a paper states of systems that nobody here has measured, with where it is from."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from ...errors import BadInput
from ...texts import parsed_json
from ..comparison.agreement import Agreement, kendall
from ..metric import METRICS, Better
from ..scores import Score, Scores
from ..taken_by import KEY, key_of

COLUMNS: Final = {key: metric for key, metric in METRICS.items() if metric.column}
FILE: Final = Path(__file__).parent / "tables.json"
ALL: Final = "all"
LARGEST: Final = sys.float_info.max
JUDGED_BY_PEOPLE: Final = "human_error_rate"


class Stated(NamedTuple):
    """A column of published tables. label: as tables show it. better: which way."""

    label: str
    better: Better


STATED: Final[Mapping[str, Stated]] = {
    "fid": Stated("FID", "lower"),
    "inception_score": Stated("IS", "higher"),
    "fd_dinov2": Stated("FD-DINOv2", "lower"),
    "fid_place": Stated("place by FID", "lower"),
    JUDGED_BY_PEOPLE: Stated("human error rate", "higher"),
    "parameters": Stated("parameters", "lower"),
    "minimal_gpu_memory_gb": Stated("least GPU memory, GB", "lower"),
    "training_gpu_hours": Stated("GPU hours of training", "lower"),
}
"""What papers state, beside the metrics and costs of leaderboards."""


@dataclass(frozen=True)
class PublishedRow:
    """system: as the source calls it. family: gan, vae, diffusion, ... values: by keys of STATED or of METRICS."""

    system: str
    family: str
    values: Mapping[str, float]
    note: str = ""


@dataclass(frozen=True)
class PublishedTable:
    """Rows of one source that compare among each other, as far as `note` does not say otherwise.

    key, title: of the table. of: the set of tables it belongs to. source: where it was published. cite, bibtex: the
    entry's key, and the entry. data_set, samples, extractor: as the source states them. licence: of the data.
    taken_by: how the rows were taken, in the words of `taken_by.py`, where that is known. verified: by whom and how it
    was verified that this is so; empty: it was not, and the rows are never ranked among measured ones.
    """

    key: str
    of: str
    title: str
    source: str
    cite: str
    bibtex: str
    data_set: str
    samples: str
    extractor: str
    licence: str
    note: str
    rows: tuple[PublishedRow, ...]
    taken_by: Mapping[str, Any] = field(default_factory=dict)
    verified: str = ""

    @property
    def columns(self) -> list[str]:
        """Keys that at least one row has, in the order of STATED, then of METRICS."""
        return [key for key in dict.fromkeys((*STATED, *COLUMNS)) if any(key in row.values for row in self.rows)]

    def column(self, key: str) -> list[float]:
        """Of every row; NaN where it has none."""
        return [row.values.get(key, math.nan) for row in self.rows]


@cache
def shipped() -> tuple[PublishedTable, ...]:
    """The tables that come with the pack."""
    return tuple(_table(table, "tables") for table in json.loads(FILE.read_text(encoding="utf-8"))["tables"])


def sets() -> list[str]:
    """What a user chooses from: all tables, or those of one set."""
    return [ALL, *dict.fromkeys(table.of for table in shipped())]


def tables_of(chosen: str, systems: str = "", own: str = "") -> tuple[PublishedTable, ...]:
    """The tables of a set, and the user's own.

    systems: names separated by commas of those that are kept; empty keeps all. own: JSON of a table, or of a list.

    Raises:
        BadInput: there is no such set or system, or the JSON is no table.
    """
    if chosen not in sets():
        raise BadInput(f"tables: there is no {chosen!r}; choose one of {', '.join(sets())}.")
    found = [table for table in shipped() if chosen in (ALL, table.of)]
    found += read_own(own) if own.strip() else []
    names = [name.strip() for name in systems.split(",") if name.strip()]
    known = {row.system.casefold(): row.system for table in found for row in table.rows}
    missing = [name for name in names if name.casefold() not in known]
    if missing:
        raise BadInput(f"systems: no table has {', '.join(missing)}; known are {', '.join(known.values())}.")
    if not names:
        return tuple(found)
    wanted = {name.casefold() for name in names}
    kept = [_only(table, wanted) for table in found]
    return tuple(table for table in kept if table.rows)


def _only(table: PublishedTable, wanted: set[str]) -> PublishedTable:
    return replace(table, rows=tuple(row for row in table.rows if row.system.casefold() in wanted))


def read_own(text: str) -> list[PublishedTable]:
    """Tables of a user, in the form of `tables.json`: an object with `title`, `source` and `rows`, or a list of them.

    Raises:
        BadInput: it is something else; names the table and what it lacks.
    """
    try:
        value = parsed_json(text)
    except ValueError as error:
        raise BadInput(f"own_rows: no JSON ({error}); give a table with title, source and rows.") from error
    return [_table(table, "own_rows") for table in (value if isinstance(value, list) else [value])]


def _table(told: Any, what: str) -> PublishedTable:
    if not isinstance(told, Mapping):
        raise BadInput(f"{what}: expected a table with title, source and rows, found {type(told).__name__}.")
    title = told.get("title") or ""
    lacking = [name for name in ("title", "source", "rows") if not told.get(name)]
    if lacking:
        raise BadInput(f"{what}: the table {title!r} lacks {', '.join(lacking)}; rows need a source to be cited by.")
    texts = ("key", "of", "cite", "bibtex", "data_set", "samples", "extractor", "licence", "note", "verified")
    plain = {name: _text(told, name, f"{what}: {title}") for name in texts}
    for name in ("data_set", "samples", "extractor"):
        plain[name] = plain[name] or "not stated"
    if not isinstance(told["rows"], list):
        raise BadInput(f"{what}: {title}: rows is {told['rows']!r}; give a list of systems with their values.")
    taken = told.get("taken_by") or {}
    if not isinstance(taken, Mapping):
        raise BadInput(f"{what}: {title}: taken_by is {taken!r}; give an object, as a leaderboard's JSON has it.")
    # A leaderboard's JSON tells the name of the reference beside it, which does not decide.
    taken = {key: value for key, value in taken.items() if key != "reference"} if "of" in taken else taken
    rows = tuple(_row(row, f"{what}: {title}") for row in told["rows"])
    return PublishedTable(title=str(title), source=str(told["source"]), rows=rows, taken_by=taken, **plain)


def _text(told: Mapping[str, Any], name: str, what: str) -> str:
    """What is absent or null is empty; of anything but a text or a number nobody could say what it means."""
    value = told.get(name)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise BadInput(f"{what}: {name} is {json.dumps(value)}; give a text, or leave it out.")
    return str(value)


def _row(told: Any, what: str) -> PublishedRow:
    if not isinstance(told, Mapping) or not told.get("system") or not isinstance(told.get("values"), Mapping):
        raise BadInput(f"{what}: a row lacks its system or its values, a name and numbers by the keys of metrics.")
    known = {*STATED, *COLUMNS}
    for key, value in told["values"].items():
        if key not in known:
            raise BadInput(f"{what}: {told['system']} has {key!r}, which is none of {', '.join(sorted(known))}.")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= LARGEST:
            raise BadInput(f"{what}: {key} of {told['system']} is {value!r}; give a finite number.")
    values = {key: float(value) for key, value in told["values"].items()}
    return PublishedRow(str(told["system"]), str(told.get("family", "")), values, str(told.get("note", "")))


def verified_rows(tables: Sequence[PublishedTable], measured: Sequence[Scores]) -> list[Scores]:
    """Published rows that rank among measured ones: those of tables whose `taken_by` was verified, and is that of at
    least one measured row."""
    ways = {key_of(scores.provenance) for scores in measured}
    return [
        Scores(
            f"{row.system} (published)",
            tuple(Score(key, value, note=table.source) for key, value in row.values.items() if key in COLUMNS),
            provenance={KEY: table.taken_by, "published": {"source": table.source, "verified": table.verified}},
        )
        for table in tables
        if is_verified(table, ways)
        for row in table.rows
    ]


def is_verified(table: PublishedTable, ways: set[str]) -> bool:
    """Whether a table was verified to be taken in one of these ways (`taken_by.key_of`)."""
    return bool(table.verified and table.taken_by) and key_of({KEY: table.taken_by}) in ways


class WithPeople(NamedTuple):
    """How a metric orders the systems of a table beside people, the better end of both first."""

    table: PublishedTable
    metric: str
    agreement: Agreement


def agreements(tables: Sequence[PublishedTable]) -> list[WithPeople]:
    """Of every metric of the tables whose systems people have judged."""
    return [
        WithPeople(table, key, _with_people(table, key))
        for table in tables
        if JUDGED_BY_PEOPLE in table.columns
        for key in table.columns
        if key != JUDGED_BY_PEOPLE
    ]


def _with_people(table: PublishedTable, key: str) -> Agreement:
    better = STATED[key].better if key in STATED else COLUMNS[key].better
    sign = 1 if better == STATED[JUDGED_BY_PEOPLE].better else -1
    return kendall(table.column(JUDGED_BY_PEOPLE), [sign * value for value in table.column(key)])
