"""A leaderboard as a picture: for each model and column the number, and a bar beneath it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import torch

from ...pictures.grids import Theme
from ..leaderboard import COLUMNS, Column, Group, Leaderboard, is_best
from ..literature.tables import PublishedTable
from . import published_text
from .canvas import LARGE, NORMAL, SMALL, WIDTH, Sheet, colour_of
from .differences_text import orders, rank
from .leaderboard_text import ARROWS
from .numbers import ABSENT, shown, uncertainty

MARGIN: Final = 20.0
NAMES: Final = 208.0
"""Units across the column of names."""
ACROSS, COSTS_ACROSS = 4, 5
"""Columns of scores, and of costs, side by side; further ones go on in another block below."""
GAP: Final = 14.0
"""Between cells."""
ROW: Final = 34.0
BAR: Final = 7.0
LINE: Final = 15.0
TITLE: Final = 44.0
BRACKET: Final = 14.0
"""Units from the margin to the line that joins the rows of a band."""
KEY: Final = "bold: the best · [ ]: interval · ±: standard deviation · joined: not told apart"
DIGITS: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def draw_table(board: Leaderboard, theme: Theme = "light") -> torch.Tensor:
    """The picture, float32 [1, H, W, 3], 0..1, of all groups, one below the other.

    A bar is as long as its value is of the column's largest, or of 1 for shares; the line across is the interval, or a
    standard deviation to either side. The best value of a column is bold. A model has one colour in all pictures.
    """
    return write_table(board, theme).image()


def write_table(board: Leaderboard, theme: Theme) -> Sheet:
    """The sheet of `draw_table`."""
    sheet = Sheet(theme)
    sheet.text(MARGIN, 28, "Leaderboard", LARGE, weight="bold")
    if board.groups:
        sheet.text(WIDTH - MARGIN, 28, f"ranked by {board.sorted_by}", SMALL, sheet.ink.dim, ha="right")
    y = TITLE
    for group in board.groups:
        y = _group(sheet, group, y + 8)
    for table in board.published:
        y = _published(sheet, table, y + 14)
    sentences = [*orders(board), *published_text.people_lines(board.published)]
    y += LINE / 2 if sentences else 0
    for told in sentences:
        for line in sheet.wrapped(told, WIDTH - 2 * MARGIN, SMALL):
            sheet.text(MARGIN, y + 6, line, SMALL)
            y += LINE
    sheet.text(MARGIN, y + 6, KEY, SMALL, sheet.ink.dim)
    sheet.cut(y + 24)
    return sheet


def _group(sheet: Sheet, group: Group, y: float) -> float:
    for line in sheet.wrapped(group.heading, WIDTH - 2 * MARGIN, SMALL):
        sheet.text(MARGIN, y, line, SMALL, sheet.ink.dim)
        y += LINE
    shared, marks = _notes(group)
    for columns in _blocks(group.columns):
        y = _block(sheet, group, columns, marks, y)
    for mark, note in [("", note) for note in shared] + [(mark, note) for note, mark in marks.items()]:
        for line in sheet.wrapped(f"{mark} {note}".strip(), WIDTH - 2 * MARGIN, SMALL):
            sheet.text(MARGIN, y + 6, line, SMALL, sheet.ink.dim)
            y += LINE
    return y


def _published(sheet: Sheet, table: PublishedTable, y: float) -> float:
    """What the literature states, without marks, bars and places; where the next may begin."""
    sheet.text(MARGIN, y, f"As published: {table.title}", NORMAL, weight="bold")
    y += LINE
    for line in sheet.wrapped(published_text.about(table), WIDTH - 2 * MARGIN, SMALL):
        sheet.text(MARGIN, y, line, SMALL, sheet.ink.dim)
        y += LINE
    wide = (WIDTH - 2 * MARGIN - NAMES) / max(1, len(table.columns))
    rights = [MARGIN + NAMES + (place + 1) * wide for place in range(len(table.columns))]
    for key, x in zip(table.columns, rights, strict=True):
        sheet.text(x, y + 3, sheet.shortened(published_text.label(key), wide - GAP, SMALL), SMALL, ha="right")
    y += LINE
    sheet.line([(MARGIN, y - 4), (WIDTH - MARGIN, y - 4)], sheet.ink.line)
    for row in table.rows:
        sheet.text(MARGIN, y + 5, sheet.shortened(row.system, NAMES - 96, SMALL), SMALL)
        sheet.text(MARGIN + NAMES - 90, y + 5, row.family, SMALL, sheet.ink.dim)
        for key, x in zip(table.columns, rights, strict=True):
            text = published_text.value(row.values.get(key, math.nan))
            sheet.text(x, y + 5, text, SMALL, "" if text != ABSENT else sheet.ink.dim, ha="right")
        y += LINE + 1
    return y


def _notes(group: Group) -> tuple[list[str], dict[str, str]]:
    """Warnings that all rows share, and of the others the mark by which rows point at them."""
    every = dict.fromkeys(warning for row in group.rows for warning in row.warnings)
    shared = [warning for warning in every if all(warning in row.warnings for row in group.rows)]
    others = [warning for warning in every if warning not in shared]
    return shared, {warning: str(place).translate(DIGITS) for place, warning in enumerate(others, 1)}


def _blocks(columns: Sequence[Column]) -> Iterator[Sequence[Column]]:
    """Scores, then costs, as many columns at a time as have room, as evenly as it goes."""
    for costs in (False, True):
        alike = [column for column in columns if _is_cost(column) == costs]
        lines = math.ceil(len(alike) / (COSTS_ACROSS if costs else ACROSS))
        for line in range(lines):
            yield alike[len(alike) * line // lines : len(alike) * (line + 1) // lines]


def _is_cost(column: Column) -> bool:
    return COLUMNS[column.key].of_cost is not None


def _block(sheet: Sheet, group: Group, columns: Sequence[Column], marks: dict[str, str], y: float) -> float:
    """Names at the left, some columns beside them; where the next block may begin."""
    wide = (WIDTH - 2 * MARGIN - NAMES) / (COSTS_ACROSS if _is_cost(columns[0]) else ACROSS)
    lefts = [MARGIN + NAMES + place * wide for place in range(len(columns))]
    y += 8 + LINE * max(
        _heading(sheet, column, group.extractor, x, y + 16, wide - GAP / 2)
        for column, x in zip(columns, lefts, strict=True)
    )
    y += 8
    sheet.line([(MARGIN, y), (WIDTH - MARGIN, y)], sheet.ink.line)
    _bands(sheet, group, y)
    for place, row in enumerate(group.rows):
        middle = y + ROW / 2
        places = rank(row)
        size = NORMAL if len(places) < 3 else SMALL
        sheet.text(MARGIN + 25, middle, places, size, sheet.ink.dim, ha="right")
        sheet.mark(MARGIN + 36, middle, row.number, 10)
        noted = " ".join(marks[warning] for warning in row.warnings if warning in marks)
        room = NAMES - 48 - GAP - sheet.width_of(noted, NORMAL)
        sheet.text(MARGIN + 48, middle, sheet.shortened(row.name, room) + noted)
        for column, x in zip(columns, lefts, strict=True):
            _cell(sheet, group, column, place, x, y, wide - GAP)
        y += ROW
    sheet.line([(MARGIN, y), (WIDTH - MARGIN, y)], sheet.ink.line)
    return y + 6


def _bands(sheet: Sheet, group: Group, y: float) -> None:
    """One ground for all rows that share a rank, every second one darker, and a line beside several."""
    bands = group.bands
    unranked = [row for row in group.rows if row.rank is None]
    for place, rows in enumerate([*bands, unranked]):
        height = len(rows) * ROW
        if place % 2 and rows:
            sheet.box(MARGIN, y, WIDTH - 2 * MARGIN, height, sheet.ink.band, zorder=0)
        if len(rows) > 1 and place < len(bands):
            x = MARGIN - BRACKET
            sheet.line([(x + 4, y + 5), (x, y + 5), (x, y + height - 5), (x + 4, y + height - 5)], sheet.ink.ink, 1.6)
        y += height


def _heading(sheet: Sheet, column: Column, extractor: str, x: float, y: float, width: float) -> int:
    """Name and direction of a column, and its extractor; how many lines these are."""
    name = COLUMNS[column.key].name_by(extractor)
    taken = column.label.removeprefix(name).removeprefix(" (").removesuffix(")")
    titles = sheet.wrapped(f"{name} {ARROWS[column.better]}", width, NORMAL, "bold")
    told = sheet.wrapped(taken, width, SMALL) if taken else []
    for line, text in enumerate(titles):
        sheet.text(x, y + line * LINE, sheet.shortened(text, width, NORMAL, "bold"), NORMAL, weight="bold")
    for line, text in enumerate(told, len(titles)):
        sheet.text(x, y + line * LINE, text, SMALL, sheet.ink.dim)
    return len(titles) + len(told)


def _cell(sheet: Sheet, group: Group, column: Column, place: int, x: float, y: float, width: float) -> None:
    """A number, what is known of its error, and its bar."""
    row = group.rows[place]
    score = COLUMNS[column.key].read(row.scores)
    winner = is_best(group, column, row)
    text = shown(score)
    weight = "bold" if winner else "normal"
    sheet.text(x, y + 11, text, NORMAL, "" if text != ABSENT else sheet.ink.dim, weight=weight)
    beside = uncertainty(column.key, score)
    room = width - sheet.width_of(text, NORMAL, weight) - 6
    if beside and sheet.width_of(beside, SMALL) <= room:
        sheet.text(x + width, y + 11, beside, SMALL, sheet.ink.dim, ha="right")
    full = _full(group, column)
    if math.isnan(score.value) or not full:
        return
    long = (width) / full
    bottom = y + 21
    sheet.box(x, bottom, width, BAR, sheet.ink.line, alpha=0.45)
    sheet.box(x, bottom, _clamped(score.value, full) * long, BAR, colour_of(row.number))
    low, high = score.low, score.high
    if low is None or high is None:
        spread = score.spread or 0.0
        low, high = score.value - spread, score.value + spread
    if high > low:
        ends = [(x + _clamped(end, full) * long, bottom + BAR / 2) for end in (low, high)]
        sheet.line(ends, sheet.ink.paper, 4)
        sheet.line(ends, sheet.ink.ink, 1.6)


def _full(group: Group, column: Column) -> float:
    """The value of the longest bar."""
    values = [COLUMNS[column.key].read(row.scores).value for row in group.rows]
    longest = max((value for value in values if math.isfinite(value)), default=0.0)
    return max(1.0, longest) if COLUMNS[column.key].unit in ("share", "ratio") else max(0.0, longest)


def _clamped(value: float, full: float) -> float:
    return min(max(value, 0.0), full)
