"""A leaderboard as Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import asdict
from typing import Any, Final

from .. import scores
from ..leaderboard import COLUMNS, Group, Leaderboard, Row, TwoOrders, is_best
from ..trilemma import Trilemma, trilemma
from . import differences_text, published_text
from .numbers import shown, uncertainty

ARROWS: Final = {"lower": "↓", "higher": "↑"}


def to_markdown(board: Leaderboard) -> str:
    """A table for each group, its best values bold; below, which rows are told apart, and its warnings."""
    parts = [_group(board, group) for group in board.groups]
    parts += ["\n".join(f"- {_escaped(line)}" for line in differences_text.orders(board))] if board.orders else []
    published = published_text.to_markdown(board.published)
    return "\n\n".join([*parts, *([published.rstrip("\n")] if published else [])]) + "\n"


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
    ends = [*(f"{key}_{part}" for key, part in extras), "warnings", "first_place", "last_place", "runs"]
    writer.writerow(["rank", "name", *of_setting, *keys, *ends])
    for group in board.groups:
        for row in group.rows:
            values = [_full(COLUMNS[key].read(row.scores).value) for key in keys]
            more = [_full(getattr(COLUMNS[key].read(row.scores), part)) for key, part in extras]
            setting = [_plain(_setting(group).get(name)) for name in of_setting]
            places = [*(row.places or ("", "")), max(1, len(row.runs))]
            writer.writerow([row.rank or "", row.name, *setting, *values, *more, "; ".join(row.warnings), *places])
    for table in board.published:
        for published in table.rows:
            values = [_full(published.values.get(key)) for key in keys]
            blanks = ["" for _ in (*of_setting, *extras)]
            setting, more = blanks[: len(of_setting)], blanks[len(of_setting) :]
            source = f"as published, not measured: {published_text.about(table)}"
            writer.writerow(["", published.system, *setting, *values, *more, source, "", "", ""])
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
                "bands": [[row.name for row in band] for band in group.bands],
                "differences": [differences_text.plain(group, each) for each in group.differences],
            }
        )
    told = {
        "sort_by": board.sort_by,
        "groups": groups,
        "orders": [_orders(each) for each in board.orders],
        "published": published_text.plain(board.published),
    }
    return json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False)


def _orders(each: TwoOrders) -> dict[str, Any]:
    return {
        "groups": [each.first, each.second],
        "models": each.agreement.count,
        "kendall_tau": scores.finite_or_none(each.agreement.tau),
        "p": scores.finite_or_none(each.agreement.p),
        "contradicted": [list(pair) for pair in each.contradicted],
    }


def _row(row: Row, places: Trilemma) -> dict[str, Any]:
    place = next((place for place in places.places if place.number == row.number), None)
    return {
        "rank": row.rank,
        "places": row.places and list(row.places),
        "name": row.name,
        "pareto_front": place and place.front,
        "trilemma_position": place and list(place.position),
        "trilemma_lacks": dict(places.missing).get(row.name, ""),
        "warnings": list(row.warnings),
        "scores": json.loads(scores.to_json(row.scores)),
        **({"runs": [json.loads(scores.to_json(run)) for run in row.runs]} if row.runs else {}),
    }


def _group(board: Leaderboard, group: Group) -> str:
    by = COLUMNS[board.sort_by].label_by(group.extractor)
    ranked = f"ranked by {by}" if group.bands else f"not ranked: no row has {by}"
    header = ["#", "model", *(f"{column.label} {ARROWS[column.better]}" for column in group.columns)]
    lines = [
        f"**{_escaped(group.heading)}**; {_escaped(ranked)}",
        "",
        _line(header),
        _line(["--:", ":--", *("--:" for _ in group.columns)]),
        *(_line([differences_text.rank(row), row.name, *_cells(group, row)]) for row in group.rows),
    ]
    told = [f"- {_escaped(line)}" for line in differences_text.lines(group, board.sort_by)]
    rule = ["", differences_text.rule(board.sort_by), "", *told] if told else []
    notes = [f"- {_escaped(row.name)}: {_escaped('; '.join(row.warnings))}" for row in group.rows if row.warnings]
    return "\n".join([*lines, *rule, *(["", *notes] if notes else [])])


def _cells(group: Group, row: Row) -> list[str]:
    cells = []
    for column in group.columns:
        score = COLUMNS[column.key].read(row.scores)
        text = shown(score)
        marked = f"**{text}**" if is_best(group, column, row) else text
        cells.append(f"{marked} {uncertainty(column.key, score)}".strip())
    return cells


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(_escaped(text) for text in cells)} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _full(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else repr(float(value))
