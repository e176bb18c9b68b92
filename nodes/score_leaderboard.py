"""Nodes of the menu Trilemma/Score that lay the scores of several models side by side, and write about them."""

from __future__ import annotations

from typing import Any

import torch

from .. import host
from ..models.pictures.grids import Theme
from ..models.scoring.advice import advice
from ..models.scoring.comparison.recipes import ONE_ROW, OneRow
from ..models.scoring.leaderboard import COLUMNS, EMPTY, leaderboard
from ..models.scoring.leaderboard import Leaderboard as Board
from ..models.scoring.literature.tables import PublishedTable
from ..models.scoring.reports.leaderboard_files import Report, save
from ..models.scoring.reports.leaderboard_table import draw_table
from ..models.scoring.reports.methods import write_methods
from ..models.scoring.reports.trilemma_plot import draw_trilemma
from ..models.scoring.scores import Scores
from ..models.scoring.trilemma import COVERAGES, QUALITIES
from .common import inputs, kinds, menus
from .common.boards import board_panel
from .common.provenance import graph_texts
from .common.showing import show_text


class Leaderboard:
    DISPLAY_NAME = "Leaderboard"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "Lays the scores of several models side by side: a ranked table as picture, Markdown, CSV and JSON, and the "
        "trilemma plot of quality, coverage and speed with its Pareto front. Only what was taken in the same way is "
        "ranked together, and models that are not told apart share a rank."
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
            "optional": {
                **inputs.numbered(
                    "scores", kinds.SCORES, "One model, from Benchmark Generator, Score or another node that scores."
                ),
                "published": inputs.link(
                    kinds.PUBLISHED, "Rows of the literature, from Published Scores, to stand under what was measured."
                ),
                "one_row": inputs.choice(
                    ONE_ROW,
                    "Which scores of one name are runs of one recipe and make one row with its spread. seeds: of one "
                    "model with the same settings, drawn with seeds that do not overlap. equal names: all, such as "
                    "checkpoints of one recipe.",
                ),
            },
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
        published: tuple[PublishedTable, ...] | None = None,
        one_row: OneRow = "seeds",
        **scores: Scores,
    ) -> dict[str, Any]:
        board = leaderboard(inputs.connected("scores", scores), sort_by, one_row, published or ())
        groups = board.groups or (EMPTY,)
        plots = torch.cat([draw_trilemma(group, quality, coverage, theme) for group in groups])
        page = board_panel(board, quality, coverage)
        texts = (page["markdown"], page["csv"], page["json"])
        report = Report(*texts, draw_table(board, theme), plots)
        files = []
        if filename_prefix:
            files = save(report, host.output_folder(), filename_prefix, graph_texts(prompt, extra_pnginfo))
        pictures = (host.intermediate(report.table), host.intermediate(report.trilemma))
        return show_text(report.markdown, board, *pictures, *texts, "\n".join(files), board=page)


class PaperText:
    DISPLAY_NAME = "Paper Text"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "Writes about a leaderboard: which family serves which use by what you weigh, in one sentence, and the "
        "paragraph of methods with its citations, from where the numbers came from."
    )
    SEARCH_ALIASES = ["methods section", "bibtex", "citation", "advice", "which model", "recommend", "latex", "paper"]
    RETURN_TYPES = ("STRING", "STRING", "STRING", "STRING")
    RETURN_NAMES = ("advice", "methods", "bibtex", "report")
    OUTPUT_TOOLTIPS = (
        "Which family serves which use, one sentence for each way in which scores were taken.",
        "The paragraph of methods for LaTeX, with its citations.",
        "BibTeX of what is cited.",
        "All three.",
    )
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "leaderboard": inputs.link(kinds.LEADERBOARD, "From Leaderboard."),
                "quality": inputs.choice(QUALITIES, "The score that stands for quality.", default="fid"),
                "coverage": inputs.choice(COVERAGES, "The score that stands for coverage.", default="recall"),
                **{f"{axis}_weight": _weight(axis) for axis in ("quality", "coverage", "speed", "memory")},
            }
        }

    def run(
        self,
        leaderboard: Board,
        quality: str,
        coverage: str,
        quality_weight: float,
        coverage_weight: float,
        speed_weight: float,
        memory_weight: float,
    ) -> dict[str, Any]:
        weights: dict[str, float] = {
            "quality": quality_weight,
            "coverage": coverage_weight,
            "speed": speed_weight,
            "memory": memory_weight,
        }
        advised = advice(leaderboard.groups, weights, quality, coverage)
        methods = write_methods(leaderboard)
        report = "\n\n".join(filter(None, [advised, *methods]))
        return show_text(report, advised, *methods, report)


def _weight(axis: str) -> inputs.Input:
    return inputs.number(1.0, 0.0, 100.0, 0.5, f"How much {axis} weighs beside the others; 0 leaves it out.")


NODES = {"TrilemmaLeaderboard": Leaderboard, "TrilemmaPaperText": PaperText}
