"""The node of the menu Trilemma/Score that lays the scores of several models side by side."""

from __future__ import annotations

from typing import Any

import torch

from .. import host
from ..models.pictures.grids import Theme
from ..models.scoring.leaderboard import COLUMNS, leaderboard
from ..models.scoring.reports.leaderboard_files import Report, save
from ..models.scoring.reports.leaderboard_table import draw_table
from ..models.scoring.reports.leaderboard_text import to_csv, to_json, to_markdown
from ..models.scoring.reports.trilemma_plot import draw_trilemma
from ..models.scoring.scores import Scores
from ..models.scoring.trilemma import COVERAGES, QUALITIES
from .common import inputs, kinds, menus
from .common.provenance import graph_texts
from .common.showing import show_text


class Leaderboard:
    DISPLAY_NAME = "Leaderboard"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "Lays the scores of several models side by side: a ranked table as picture, Markdown, CSV and JSON, and the "
        "trilemma plot of quality, coverage and speed with its Pareto front. Only what was taken in the same way is "
        "ranked together."
    )
    SEARCH_ALIASES = ["compare models", "ranking", "table", "benchmark", "pareto", "trade-off", "csv", "fid table"]
    RETURN_TYPES = (kinds.LEADERBOARD, "IMAGE", "IMAGE", "STRING", "STRING", "STRING", "STRING")
    RETURN_NAMES = ("leaderboard", "table", "trilemma", "markdown", "csv", "data", "files")
    OUTPUT_TOOLTIPS = (
        "The ranked rows with all their scores and where they came from.",
        "The table with a bar beneath each number, one image.",
        "The trilemma plot, one image for each way in which scores were taken.",
        "The table, for a README.",
        "The table, for a spreadsheet: values in full.",
        "JSON: everything, of each row all scores, its place in the plot, and where it came from.",
        "Names of the saved files below the output folder, one to a line; empty without a filename_prefix.",
    )
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "sort_by": inputs.choice(COLUMNS, "The score or cost that ranks, best first.", default="fid"),
                "quality": inputs.choice(QUALITIES, "Quality axis of the trilemma plot.", default="fid"),
                "coverage": inputs.choice(COVERAGES, "Coverage axis of the trilemma plot.", default="recall"),
                "theme": inputs.theme(),
                "filename_prefix": inputs.text(
                    "scores/leaderboard",
                    "Beginning of the names of the saved files (md, csv, json, two png) below the "
                    "output folder; empty saves nothing.",
                ),
            },
            "optional": inputs.numbered(
                "scores", kinds.SCORES, "One model, from Benchmark Generator, Score or another node that scores."
            ),
            "hidden": {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"},
        }

    def run(
        self,
        sort_by: str,
        quality: str,
        coverage: str,
        theme: Theme,
        filename_prefix: str,
        prompt: dict[str, Any] | None = None,
        extra_pnginfo: dict[str, Any] | None = None,
        **scores: Scores,
    ) -> dict[str, Any]:
        board = leaderboard(inputs.connected("scores", scores), sort_by)
        plots = torch.cat([draw_trilemma(group, quality, coverage, theme) for group in board.groups])
        texts = (to_markdown(board), to_csv(board), to_json(board, quality, coverage))
        report = Report(*texts, draw_table(board, theme), plots)
        files = []
        if filename_prefix:
            files = save(report, host.output_folder(), filename_prefix, graph_texts(prompt, extra_pnginfo))
        pictures = (host.intermediate(report.table), host.intermediate(report.trilemma))
        return show_text(report.markdown, board, *pictures, *texts, "\n".join(files))


NODES = {"TrilemmaLeaderboard": Leaderboard}
