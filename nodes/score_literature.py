"""The node of the menu Trilemma/Score that measures every generator that is there."""

from __future__ import annotations

from typing import Any

import torch

from .. import host
from ..models.errors import BadInput
from ..models.files.paths import fingerprint
from ..models.pictures.grids import Theme
from ..models.scoring.features.feature_set import Features
from ..models.scoring.leaderboard import COLUMNS, EMPTY
from ..models.scoring.reports.leaderboard_table import draw_table
from ..models.scoring.reports.trilemma_plot import draw_trilemma
from ..models.scoring.trilemma import COVERAGES, QUALITIES
from .common import inputs, kinds, literature, menus
from .common.boards import board_panel
from .common.showing import show_text

EVERY = "*"


class LiteratureTable:
    DISPLAY_NAME = "Literature Table"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "Draws from every generator that is found, one after the other, scores and times it, and lays all of them over "
        "the published rows of the literature. What was stopped goes on, a model that fails is named and the others "
        "are measured, and published systems whose files are not there are listed with where to get them."
    )
    SEARCH_ALIASES = ["compare all models", "benchmark everything", "literature", "all generators", "published systems"]
    RETURN_TYPES = (kinds.LEADERBOARD, "IMAGE", "IMAGE", "STRING", "STRING", "STRING", "STRING")
    RETURN_NAMES = ("leaderboard", "table", "trilemma", "markdown", "csv", "data", "report")
    OUTPUT_TOOLTIPS = (
        "The ranked rows, for Paper Text.",
        "The table with a bar beneath each number, one image.",
        "The trilemma plot, one image for each way in which scores were taken.",
        "The table, for a README.",
        "The table, for a spreadsheet: values in full.",
        "JSON: everything, of each row all scores, its place in the plot, and where it came from.",
        "The table, what failed and why, what is absent and where to get it, and the saved files.",
    )
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "systems": inputs.multiline(
                    EVERY,
                    "Generators as Load Generator lists them, one to a line. * stands for all that are found; the "
                    "starters are among them where no reference is connected.",
                ),
                "num_images": inputs.integer(
                    256, literature.LEAST, 1_000_000, "How many each draws: thousands for numbers that stand."
                ),
                "first_seed": inputs.fixed_seed("Sample i is drawn with first_seed + i."),
                "prompts": inputs.multiline("", "For systems that draw from prompts: one to a line, in turn."),
                "sort_by": inputs.choice(COLUMNS, "The score or cost that ranks, best first.", default="fid"),
                "quality": inputs.choice(QUALITIES, "Quality axis of the trilemma plot.", default="fid"),
                "coverage": inputs.choice(COVERAGES, "Coverage axis of the trilemma plot.", default="recall"),
                "theme": inputs.theme(),
            },
            "optional": {
                "extractor": inputs.link(
                    kinds.EXTRACTOR, "From Load Feature Extractor; the one that took the reference. Both or neither."
                ),
                "reference": inputs.link(
                    kinds.FEATURES, "What samples should look like; without it the pictures that the starters learned."
                ),
            },
        }

    @classmethod
    def IS_CHANGED(cls, **given: Any) -> str:
        """New or other files in the folders."""
        return "\n".join(f"{name} {fingerprint(path)}" for name, path in literature.paths_here().items())

    def run(
        self,
        systems: str,
        num_images: int,
        first_seed: int,
        prompts: str,
        sort_by: str,
        quality: str,
        coverage: str,
        theme: Theme,
        extractor: host.Handle | None = None,
        reference: Features | None = None,
    ) -> dict[str, Any]:
        if (extractor is None) != (reference is None):
            raise BadInput(
                "extractor, reference: one of them is connected; connect both, or neither to compare with the pictures "
                "that the starters learned."
            )
        names = literature.lines_of(systems)
        if not names:
            raise BadInput(f"systems: there are none; write one name to a line, or {EVERY} for all that are found.")
        every = EVERY in names
        wish = literature.Wish(
            num_images,
            first_seed,
            literature.lines_of(prompts),
            [] if every else names,
            reference is None,
            sort_by,
        )
        scale = literature.scale_of("", "") if extractor is None else literature.Scale(extractor, reference)
        found = literature.run(wish, scale, lambda name: None)
        board = found.board
        if board is None:
            raise BadInput(f"systems: nothing was measured.\n{literature.page(found)}")
        plots = []
        for group in board.groups or (EMPTY,):
            host.check_interrupted()
            plots.append(draw_trilemma(group, quality, coverage, theme))
        host.check_interrupted()
        pictures = (host.intermediate(draw_table(board, theme)), host.intermediate(torch.cat(plots)))
        told, report = board_panel(board, quality, coverage), literature.page(found)
        texts = (told["markdown"], told["csv"], told["json"])
        return show_text(report, board, *pictures, *texts, report, board=told)


NODES = {"TrilemmaLiteratureTable": LiteratureTable}
