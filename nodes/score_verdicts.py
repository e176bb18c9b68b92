"""Nodes of the menu Trilemma/Score that judge: an edit, and whether a score is good enough."""

from __future__ import annotations

import math
from typing import Any

import torch

from .. import host
from ..models.errors import BadInput
from ..models.pictures.dust import MASK_THRESHOLD, report_dust
from ..models.scoring import gate, taken_by
from ..models.scoring.comparison.influences import of_images
from ..models.scoring.metrics import edits, pairs
from ..models.scoring.reports import edit_report
from ..models.scoring.scores import Scores
from .common import inputs, kinds, menus
from .common.metric_inputs import name_of_images
from .common.showing import show_text


class ScoreEdit:
    DISPLAY_NAME = "Score Edit"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "Judges an edit: does a detector find the new object in the hole, and no longer the old one; is everything "
        "outside the mask untouched; how visible is the seam."
    )
    SEARCH_ALIASES = ["edit quality", "inpaint score", "evaluate edit", "seam score", "unmasked pixels changed"]
    RETURN_TYPES = (
        "BOOLEAN",
        "FLOAT",
        "BOOLEAN",
        "FLOAT",
        "FLOAT",
        "FLOAT",
        kinds.SCORES,
        "STRING",
        "STRING",
    )
    RETURN_NAMES = (
        "edit_done",
        "new_object_score",
        "old_object_gone",
        "untouched_psnr",
        "untouched_difference",
        "seam",
        "scores",
        "data",
        "report",
    )
    OUTPUT_TOOLTIPS = (
        "In every image the new object is in the hole and the old one is gone; false also where nothing was asked.",
        "Mean score of the new objects found; NaN where none was.",
        "In no image the old object is still in the hole; false also where it was not asked for.",
        "Mean PSNR in dB outside the mask; infinite where nothing has changed.",
        "Greatest absolute difference of any value outside the mask, 0 to 1.",
        "Mean step in colour along the mask's edge: 0 none, 1 black to white.",
        "All of this, for Score Gate and Leaderboard.",
        "JSON: the verdict on every image.",
        "The verdict on every image in words.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "original": inputs.link("IMAGE", "The images before the edit; alpha is ignored."),
                "edited": inputs.link("IMAGE", "The images after it, of the same size; alpha is ignored."),
                "mask": inputs.link(
                    "MASK",
                    "Where the edit was allowed, such as Stitch Objects gives it: from mask_threshold on pixels may "
                    "change, from 0.5 they are the hole. One mask per image, or one for all.",
                ),
            },
            "optional": {
                "detector": inputs.link(kinds.DETECTOR, "Without it, only the rest and the seam are judged."),
                "new_object": inputs.text("", "What should be in the hole; empty: not asked."),
                "old_object": inputs.text("", "What was in the hole; empty: not asked."),
                "box_threshold": inputs.share(
                    edits.DEFAULT_THRESHOLD, "The detector has seen what scores higher than this."
                ),
                "min_iou": inputs.share(
                    edits.DEFAULT_IOU, "Overlap of the new object's box with the hole's, intersection over union."
                ),
                "name": name_of_images("edit"),
                "mask_threshold": inputs.mask_threshold(),
            },
        }

    def run(
        self,
        original: torch.Tensor,
        edited: torch.Tensor,
        mask: torch.Tensor,
        detector: host.Handle | None = None,
        new_object: str = "",
        old_object: str = "",
        box_threshold: float = edits.DEFAULT_THRESHOLD,
        min_iou: float = edits.DEFAULT_IOU,
        name: str = "edit",
        mask_threshold: float = MASK_THRESHOLD,
    ) -> dict[str, Any]:
        matched = pairs.match_pairs(original, edited, ("original", "edited"))
        question = detections = None
        if detector is not None:
            question = edits.ask(new_object, old_object)
            frames, height, width = matched.image.shape[:3]
            memory = detector.model.memory_bytes(1, height, width)
            with host.placed(detector, memory=memory), host.progress(frames) as on_step:
                detections = detector.model.detect(matched.image, question.prompt, 1, on_step)
        verdicts = edits.judge(matched, mask, question, detections, box_threshold, min_iou, mask_threshold)
        network = detector.model if detector else None
        provenance = {
            "images": len(verdicts),
            "new_object": new_object,
            "old_object": old_object,
            taken_by.KEY: taken_by.of_edits(matched, mask, question, network, box_threshold, min_iou, mask_threshold),
        }
        influences = of_images(edit_report.values_of(verdicts))
        found = edit_report.as_scores(verdicts, question)
        scores = Scores(name, found, provenance=provenance, influences=influences)
        told = edit_report.describe(verdicts, question), report_dust(mask, mask_threshold)
        text = "\n".join(filter(None, told))
        result = (
            scores.value("edit_done") == 1,
            edit_report.new_object_score(verdicts),
            scores.value("old_object_gone") == 1,
            *(scores.value(metric) for metric in ("untouched_psnr", "untouched_difference", "seam")),
            scores,
            edit_report.to_json(verdicts, question),
            text,
        )
        return show_text(text, *result)


class ScoreGate:
    DISPLAY_NAME = "Score Gate"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "Fails the run, by name and number, when a score misses its threshold; headless.py then exits with 3. What "
        "comes in passes through, so that what follows is only saved if the gate opens."
    )
    SEARCH_ALIASES = ["threshold", "assert", "quality gate", "fail if", "check score", "ci", "regression test"]
    RETURN_TYPES = (kinds.SCORES, "FLOAT", "STRING")
    RETURN_NAMES = ("scores", "value", "report")
    OUTPUT_TOOLTIPS = (
        "The scores that came in; nothing if none did.",
        "The value that came in; NaN if none did.",
        "What was checked, and that it passed.",
    )
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "name": inputs.text("quality", "Of the gate; the failure begins with it."),
                "metric": inputs.text(
                    "",
                    "Which of the connected scores: fid, kid, psnr, clip_score, edit_done, seam, ..., "
                    "or a cost, such as seconds_per_image. Not read for a value.",
                ),
                "comparison": inputs.choice(gate.COMPARISONS, "Which side of the threshold passes; it does too."),
                "threshold": inputs.number(
                    0.0,
                    -1e9,
                    1e9,
                    0.01,
                    "In the unit of the score; a missing score and NaN always fail.",
                    rounded=False,
                ),
            },
            "optional": {
                "scores": inputs.link(kinds.SCORES, "From a scoring node; its metric is checked."),
                "value": inputs.wired("FLOAT", "Any number; checked as well."),
            },
        }

    def run(
        self,
        name: str,
        metric: str,
        comparison: gate.Comparison,
        threshold: float,
        scores: Scores | None = None,
        value: float | None = None,
    ) -> dict[str, Any]:
        if scores is None and value is None:
            raise BadInput("scores, value: neither is connected; connect what is to be checked.")
        lines = []
        if scores is not None:
            lines.append(gate.check_scores(scores, metric.strip(), name, comparison, threshold))
        if value is not None:
            lines.append(gate.check(value, "value", name, comparison, threshold))
        text = "\n".join(lines)
        return show_text(text, scores, math.nan if value is None else value, text)


NODES = {
    "TrilemmaScoreEdit": ScoreEdit,
    "TrilemmaScoreGate": ScoreGate,
}
