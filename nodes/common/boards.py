"""A leaderboard on its node: what the page shows of it."""

from __future__ import annotations

from typing import Any

from ... import host
from ...models.scoring.leaderboard import Leaderboard
from ...models.scoring.reports.leaderboard_page import to_page
from .showing import previews


def board_panel(board: Leaderboard, quality: str, coverage: str) -> dict[str, Any]:
    """See `to_page`. Where there is a page, a sample of which the scores have a picture has its file too."""
    panel = to_page(board, quality, coverage)
    if host.has_page():
        for group, all_cells in zip(board.groups, panel["cells"], strict=True):
            for row, cells in zip(group.rows, all_cells, strict=True):
                for end, pictures in row.scores.pictures.items():
                    for sample, file in zip(cells["samples"][end], previews(pictures / 255), strict=False):
                        sample.update(file)
    return panel
