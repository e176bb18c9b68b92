"""The node of the menu Trilemma/Score that gives rows of the literature."""

from __future__ import annotations

from typing import Any

from ..models.scoring.literature.tables import ALL, sets, tables_of
from ..models.scoring.reports import published_text
from .common import inputs, kinds, menus
from .common.showing import show_text


class PublishedScores:
    DISPLAY_NAME = "Published Scores"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "Rows of the literature as data, with source, data set, number of samples and extractor as stated: to stand "
        "under measured rows on a leaderboard, never ranked among them. Where people judged the same systems, says "
        "how well each metric agrees with them."
    )
    SEARCH_ALIASES = [
        "literature",
        "papers with code",
        "state of the art",
        "reported fid",
        "human evaluation",
        "baseline numbers",
    ]
    RETURN_TYPES = (kinds.PUBLISHED, "STRING", "STRING", "STRING")
    RETURN_NAMES = ("published", "data", "bibtex", "report")
    OUTPUT_TOOLTIPS = (
        "For Leaderboard.",
        "JSON: every row with its source, and how well metrics agree with people.",
        "BibTeX of the sources.",
        "The tables as Markdown.",
    )
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "tables": inputs.choice(sets(), "Which of the shipped tables.", default=ALL),
                "systems": inputs.text("", "Names separated by commas of the systems that are kept; empty keeps all."),
            },
            "optional": {
                "own_rows": inputs.multiline(
                    "",
                    "A table of your own as JSON, or a list of them, beside the shipped ones; see the help page.",
                    '{"title": "...", "source": "...", "rows": [{"system": "...", "values": {"fid": 2.5}}]}',
                ),
            },
        }

    def run(self, tables: str, systems: str, own_rows: str = "") -> dict[str, Any]:
        found = tables_of(tables, systems, own_rows)
        report = published_text.to_markdown(found)
        return show_text(report, found, published_text.to_json(found), published_text.bibtex(found), report)


NODES = {"TrilemmaPublishedScores": PublishedScores}
