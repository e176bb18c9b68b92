"""Nodes of the menu Trilemma/Score whose pictures are drawn by a rule, so that what is right is known."""

from __future__ import annotations

from typing import Any

import torch

from .. import host
from ..models.pictures import triangles
from ..models.pictures.triangles import Fault
from ..models.scoring import taken_by
from ..models.scoring.comparison.influences import of_images
from ..models.scoring.metrics import known_truth
from ..models.scoring.scores import Scores
from .common import inputs, kinds, menus
from .common.metric_inputs import name_of_images
from .common.showing import show_text


class KnownTriangles:
    DISPLAY_NAME = "Known Triangles"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "Draws white triangles on black: data whose manifold is known (Lucic et al. 2018). A share of the pictures can "
        "be faulty and modes can be left out, so that precision and recall are known, not estimated: for testing "
        "metrics, and as training data of a generator that is to be tested."
    )
    SEARCH_ALIASES = [
        "toy data",
        "synthetic dataset",
        "convex polygons",
        "ground truth precision recall",
        "mode dropping",
        "are gans created equal",
    ]
    RETURN_TYPES = ("IMAGE", "FLOAT", "FLOAT", "STRING")
    RETURN_NAMES = ("images", "precision", "recall", "info")
    OUTPUT_TOOLTIPS = (
        "The pictures, grey in three channels.",
        "Share of the pictures without the fault.",
        "Share of the modes that are drawn.",
        "What was drawn.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "num_images": inputs.integer(500, 1, 10_000, "How many pictures."),
                "size": inputs.integer(
                    28, triangles.SMALLEST_DRAWN, triangles.LARGEST, "Side of the pictures in pixels."
                ),
                "seed": inputs.seed("Picture i depends on seed + i alone; sets of other pictures begin farther away."),
                "faulty": inputs.share(0.0, "Share of the pictures that have the fault: evenly spread, and exact."),
                "fault": inputs.choice(
                    triangles.FAULTS,
                    "hole: in the middle of the triangle. square: of the triangle's area, in its place. noise: all "
                    "over, with a standard deviation of 0.1.",
                ),
                "modes_left_out": inputs.integer(
                    0,
                    0,
                    triangles.MODES - 1,
                    f"How many of the {triangles.MODES} equal modes are never drawn: sectors in which a triangle's "
                    "centre lies.",
                ),
            },
        }

    def run(
        self, num_images: int, size: int, seed: int, faulty: float, fault: Fault, modes_left_out: int
    ) -> dict[str, Any]:
        with host.progress(num_images) as on_step:
            drawn = triangles.drawn(num_images, size, seed, faulty, fault, modes_left_out, on_step)
        precision, recall = 1 - float(drawn.faulty.double().mean()), 1 - modes_left_out / triangles.MODES
        images = host.intermediate(drawn.pictures[..., None].expand(-1, -1, -1, 3).contiguous())
        info = (
            f"{num_images} triangles of {size} x {size} px, seeds from {seed} on\n"
            f"with the fault ({fault}): {int(drawn.faulty.sum())}; precision {precision:.1%}\n"
            f"modes drawn: {triangles.MODES - modes_left_out} of {triangles.MODES}; recall {recall:.0%}"
        )
        return show_text(info, images, precision, recall, info)


class ScoreTriangles:
    DISPLAY_NAME = "Score Triangles"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "Precision and recall that are known: which pictures lie on the manifold of white triangles on black, by their "
        "distance to the nearest triangle, and which of its modes they reach. To stand beside what Score estimates of "
        "the same pictures."
    )
    SEARCH_ALIASES = ["distance to manifold", "ground truth precision recall", "known truth", "are gans created equal"]
    RETURN_TYPES = ("FLOAT", "FLOAT", "IMAGE", kinds.SCORES, "STRING")
    RETURN_NAMES = ("precision", "recall", "nearest", "scores", "report")
    OUTPUT_TOOLTIPS = (
        "Share of the pictures whose squared distance to the nearest triangle is below delta.",
        "Share of the modes that pictures on the manifold reach.",
        "The nearest triangle of each picture.",
        "Both, for Score Gate and Leaderboard.",
        "Both in words, with the distances.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "images": inputs.link(
                    "IMAGE", "A batch that ought to be white triangles on black, of one size; alpha is ignored."
                ),
                "delta": inputs.number(
                    known_truth.DELTA,
                    0.001,
                    10_000.0,
                    0.05,
                    "Squared distance to the nearest triangle, summed over pixels of 0 to 1, from which on a picture "
                    "is none; a single wrong pixel has 1.",
                    rounded=0.001,
                ),
            },
            "optional": {"name": name_of_images("images")},
        }

    def run(self, images: torch.Tensor, delta: float, name: str = "images") -> dict[str, Any]:
        with host.progress(len(images)) as on_step:
            found = known_truth.truth(images, delta, on_step)
        height, width = images.shape[1:3]
        provenance = {"images": len(images), taken_by.KEY: taken_by.of_triangles(images, delta)}
        influences = of_images({"known_precision": (found.nearest.squares < delta).double().tolist()})
        scores = Scores(name, known_truth.as_scores(found), provenance=provenance, influences=influences)
        nearest = triangles.paint(found.nearest.corners, height, width).float()
        shown = host.intermediate(nearest[..., None].expand(-1, -1, -1, 3).contiguous())
        text = known_truth.describe(found)
        return show_text(text, found.precision.value, found.recall, shown, scores, text)


NODES = {"TrilemmaKnownTriangles": KnownTriangles, "TrilemmaScoreTriangles": ScoreTriangles}
