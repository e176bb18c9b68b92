"""A leaderboard as the page's node shows it: the texts to copy and save, and each cell as tables print it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import sample_pictures
from ..leaderboard import COLUMNS, Group, Leaderboard, Row, is_best
from ..scores import finite_or_none
from . import differences_text
from .leaderboard_text import to_csv, to_json, to_markdown
from .numbers import shown, uncertainty


def to_page(board: Leaderboard, quality: str = "fid", coverage: str = "recall") -> dict[str, Any]:
    """Values that JSON knows.

    markdown, csv, json: the texts as their functions give them. cells: for each group of the JSON and each of its rows
    the rank as text, by the key of a column its value (None where there is none), text, and whether it is the best, and
    of the samples that a benchmark found seed (a text: scripts know no whole numbers from 2^53 on) and condition.
    """
    return {
        "markdown": to_markdown(board),
        "csv": to_csv(board),
        "json": to_json(board, quality, coverage),
        "cells": [[_cells(group, row) for row in group.rows] for group in board.groups],
    }


def _cells(group: Group, row: Row) -> dict[str, Any]:
    scores = {column: COLUMNS[column.key].read(row.scores) for column in group.columns}
    return {
        "rank": differences_text.rank(row),
        "of": {
            column.key: {
                "value": finite_or_none(score.value),
                "text": f"{shown(score)} {uncertainty(column.key, score)}".strip(),
                "best": is_best(group, column, row),
            }
            for column, score in scores.items()
        },
        "samples": {end: captions(row.scores.provenance, end) for end in sample_pictures.ENDS},
    }


def captions(provenance: Mapping[str, Any], end: str) -> list[dict[str, str]]:
    """What is told of the samples at one end of a benchmark, the most extreme first."""
    return [{"seed": str(each["seed"]), "condition": each["condition"]} for each in provenance.get(end) or ()]
