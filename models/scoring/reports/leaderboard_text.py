"""A leaderboard as Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import asdict
from typing import Any, Final

from .. import scores
from ..leaderboard import COLUMNS, Column, Group, Leaderboard, Row, best
from ..trilemma import Trilemma, trilemma
from .numbers import ABSENT, number, uncertainty

ARROWS: Final = {"lower": "↓", "higher": "↑"}


def to_markdown(board: Leaderboard) -> str:
    """A table for each group, its best values bold, its warnings below."""
    return "\n\n".join(_group(board, group) for group in board.groups) + "\n"


def to_csv(board: Leaderboard) -> str:
    """One line per row, a column for each metric and cost that any row has, with its ends and spread where it has them.

    Values are written in full; what is missing stays empty.
    """
    keys = [key for key in COLUMNS if any(key in {column.key for column in group.columns} for group in board.groups)]
    extras = [
        (key, part)
        for key in keys
        for part in ("low", "high", "spread")
        if any(getattr(COLUMNS[key].read(row.scores), part) is not None for group in board.groups for row in group.rows)
    ]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    of_setting = list(dict.fromkeys(name for group in board.groups for name in _setting(group)))
    writer.writerow(["rank", "name", *of_setting, *keys, *(f"{key}_{part}" for key, part in extras), "warnings"])
    for group in board.groups:
        for row in group.rows:
            values = [_full(COLUMNS[key].read(row.scores).value) for key in keys]
            more = [_full(getattr(COLUMNS[key].read(row.scores), part)) for key, part in extras]
            setting = [_plain(_setting(group).get(name)) for name in of_setting]
            writer.writerow([row.rank or "", row.name, *setting, *values, *more, "; ".join(row.warnings)])
    return file.getvalue()


def _setting(group: Group) -> dict[str, Any]:
    """How a group was taken, and the name of its reference, which does not decide."""
    return {**group.taken_by, **({"reference": group.reference} if group.reference else {})}


def _plain(value: Any) -> Any:
    """As a cell of a table."""
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else value


def to_json(board: Leaderboard, quality: str = "fid", coverage: str = "recall") -> str:
    """Everything, of each row all scores and where they came from, so that it can be run again from this alone."""
    groups = []
    for group in board.groups:
        places = trilemma(group, quality, coverage)
        groups.append(
            {
                "setting": _setting(group),
                "columns": [asdict(column) for column in group.columns],
                "rows": [_row(row, places) for row in group.rows],
                "axes": [asdict(axis) for axis in places.axes],
            }
        )
    return json.dumps({"sort_by": board.sort_by, "groups": groups}, indent=2, ensure_ascii=False, allow_nan=False)


def _row(row: Row, places: Trilemma) -> dict[str, Any]:
    place = next((place for place in places.places if place.number == row.number), None)
    return {
        "rank": row.rank,
        "name": row.name,
        "pareto_front": place and place.front,
        "trilemma_position": place and list(place.position),
        "trilemma_lacks": dict(places.missing).get(row.name, ""),
        "warnings": list(row.warnings),
        "scores": json.loads(scores.to_json(row.scores)),
    }


def _group(board: Leaderboard, group: Group) -> str:
    bests = {column.key: best(group, column) for column in group.columns}
    ranked = next((column.label for column in group.columns if column.key == board.sort_by), board.sort_by)
    header = ["#", "model", *(f"{column.label} {ARROWS[column.better]}" for column in group.columns)]
    lines = [
        f"**{_escaped(group.heading)}**; ranked by {_escaped(ranked)}",
        "",
        _line(header),
        _line(["--:", ":--", *("--:" for _ in group.columns)]),
        *(_line([str(row.rank or ABSENT), row.name, *_cells(row, group.columns, bests)]) for row in group.rows),
    ]
    notes = [f"- {_escaped(row.name)}: {_escaped('; '.join(row.warnings))}" for row in group.rows if row.warnings]
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def _cells(row: Row, columns: tuple[Column, ...], bests: dict[str, float]) -> list[str]:
    cells = []
    for column in columns:
        score = COLUMNS[column.key].read(row.scores)
        text = number(column.key, score.value)
        shown = f"**{text}**" if score.value == bests[column.key] else text
        cells.append(f"{shown} {uncertainty(column.key, score)}".strip())
    return cells


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(_escaped(text) for text in cells)} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _full(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else repr(float(value))
