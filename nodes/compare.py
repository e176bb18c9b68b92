"""Nodes of the menu Trilemma/Score that look at single images: pairs, prompts, edits; and the gate for any score."""

from __future__ import annotations

import math
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import torch

from .. import host
from ..models.detection import grounding_dino
from ..models.errors import BadInput, CannotDo
from ..models.images import rgb
from ..models.scoring import clip_score, edit_report, edits, gate, lpips, pairs
from ..models.scoring.difference import difference_map
from ..models.scoring.report import Scores

CATEGORY = "Trilemma/Score"
NO_LPIPS = "none"


def _name(default: str) -> tuple[str, dict[str, Any]]:
    return ("STRING", {"default": default, "tooltip": "How tables and Score Gate call these images."})


class CompareImages:
    DISPLAY_NAME = "Compare Images"
    CATEGORY = CATEGORY
    DESCRIPTION = (
        "How close images are to references, pair by pair: PSNR, SSIM, MS-SSIM and LPIPS, and a picture of where they "
        "differ."
    )
    SEARCH_ALIASES = ["psnr", "ssim", "ms-ssim", "lpips", "image difference", "difference map", "image similarity"]
    RETURN_TYPES = ("IMAGE", "FLOAT", "FLOAT", "FLOAT", "FLOAT", "TRILEMMA_SCORES", "STRING", "STRING")
    RETURN_NAMES = ("difference", "psnr", "ssim", "ms_ssim", "lpips", "scores", "data", "report")
    OUTPUT_TOOLTIPS = (
        "For each pair the absolute difference times gain: black where there is none, through violet and orange to "
        "pale yellow.",
        "Mean PSNR in dB; infinite if a pair is identical.",
        "Mean SSIM, 1 for identical images.",
        "Mean MS-SSIM; NaN for images below 176 pixels.",
        "Mean LPIPS, 0 for identical images; NaN if no network was chosen.",
        "The means, for Score Gate and Leaderboard.",
        "JSON: the values of every pair.",
        "The values of every pair, and why one is missing.",
    )
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "reference": ("IMAGE", {"tooltip": "The originals: one image, or as many; alpha is ignored."}),
                "image": ("IMAGE", {"tooltip": "What is compared with them, of the same size; alpha is ignored."}),
                "lpips": (
                    [NO_LPIPS, *lpips.BACKBONES],
                    {
                        "tooltip": "Network of LPIPS. alex and vgg need torchvision's ImageNet weights in "
                        "models/metrics; without them the error says where to get the file."
                    },
                ),
                "gain": (
                    "FLOAT",
                    {
                        "default": 4.0,
                        "min": 0.0,
                        "max": 1000.0,
                        "step": 0.5,
                        "tooltip": "What differences are multiplied by in the picture; it moves no score.",
                    },
                ),
            },
            "optional": {"name": _name("compared images")},
        }

    def run(
        self, reference: torch.Tensor, image: torch.Tensor, lpips: str, gain: float, name: str = "compared images"
    ) -> dict[str, Any]:
        matched = pairs.match_pairs(reference, image)
        with host.progress(len(matched.image)) as on_step:
            comparison = _compare(matched, lpips, on_step)
        text = pairs.describe(comparison)
        provenance = {"images": len(matched.image), "size": [comparison.width, comparison.height], "lpips": lpips}
        scores = Scores(name, pairs.as_scores(comparison), provenance=provenance)
        means = (comparison.mean(metric) for metric in ("psnr", "ssim", "ms_ssim", "lpips"))
        shown = host.intermediate(difference_map(matched, gain))
        return {"ui": {"text": [text]}, "result": (shown, *means, scores, pairs.to_json(comparison), text)}


def _compare(matched: pairs.Pairs, net: str, on_step: Any) -> pairs.Comparison:
    if net == NO_LPIPS:
        return pairs.compare(matched, on_step=on_step)
    backbone = lpips.BACKBONES[net]
    files = host.model_files("metrics", (".pth",))
    file = next((file for file in files if PurePosixPath(file).name == backbone.file.name), None)
    if file is None:
        raise lpips.missing_file(net, host.model_folder("metrics"))
    with host.without_inference_mode():
        network = lpips.load_lpips(net, host.model_path("metrics", file))
    held = host.hold(network, [network])
    with host.placed(held, memory=lpips.memory_bytes(net, *matched.image.shape[1:3])):
        return pairs.compare(matched, partial(lpips.distance, network), backbone.side, on_step)


class CLIPScore:
    DISPLAY_NAME = "CLIP Score"
    CATEGORY = CATEGORY
    DESCRIPTION = (
        "How well images fit their prompts: 100 times the cosine of their CLIP embeddings, and 0 where it is negative "
        "(Hessel et al. 2021). A CLIP without its text projection is refused: its score would be wrong."
    )
    SEARCH_ALIASES = ["clipscore", "text image similarity", "prompt adherence", "prompt alignment", "clip similarity"]
    RETURN_TYPES = ("FLOAT", "TRILEMMA_SCORES", "STRING", "STRING")
    RETURN_NAMES = ("clip_score", "scores", "data", "report")
    OUTPUT_TOOLTIPS = (
        "The mean, 0 to 100.",
        "The mean, for Score Gate and Leaderboard.",
        "JSON: score and prompt of every image.",
        "The score of every image.",
    )
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "clip": (
                    "CLIP",
                    {"tooltip": "The text half of a CLIP, from Load CLIP; its files must hold all of it."},
                ),
                "clip_vision": ("CLIP_VISION", {"tooltip": "The image half of the same CLIP, from Load CLIP Vision."}),
                "image": ("IMAGE", {"tooltip": "One image or a batch, of which the middle square is seen."}),
                "prompt": (
                    "STRING",
                    {
                        "default": "",
                        "multiline": True,
                        "tooltip": "One prompt, or one to a line: image i takes line i, and the first again after the "
                        "last. CLIP reads the first 75 tokens; weights such as (cat:1.2) do not count.",
                    },
                ),
            },
            "optional": {
                "batch_size": (
                    "INT",
                    {"default": 8, "min": 1, "max": 256, "tooltip": "Images looked at together.", "advanced": True},
                ),
                "name": _name("prompted images"),
            },
            "hidden": {"graph": "DYNPROMPT", "node_id": "UNIQUE_ID"},
        }

    def run(
        self,
        clip: Any,
        clip_vision: Any,
        image: torch.Tensor,
        prompt: str,
        batch_size: int = 8,
        name: str = "prompted images",
        graph: Any = None,
        node_id: str | None = None,
    ) -> dict[str, Any]:
        images = rgb(image)
        prompts = clip_score.read_prompts(prompt, len(images))
        try:
            towers = {
                "clip": host.text_tower(clip, graph, node_id),
                "clip_vision": host.image_tower(clip_vision, graph, node_id),
            }
        except NotImplementedError as error:
            raise CannotDo(str(error)) from error
        for what, tower in towers.items():
            clip_score.check_projection(tower.projection, what, tower.files, tower.in_files)
        embedded = {text: towers["clip"].embed(text) for text in dict.fromkeys(prompts)}
        with host.progress(len(images)) as on_step:
            features = host.halving(
                lambda size: clip_score.embed_images(images, towers["clip_vision"].embed, size, on_step),
                min(batch_size, len(images)),
            )
        values = clip_score.clip_scores(features, torch.cat([embedded[text] for text in prompts]))
        provenance = {"images": len(images), **{what: list(tower.files) for what, tower in towers.items()}}
        scores = Scores(name, clip_score.as_scores(values), provenance=provenance)
        text = clip_score.describe(values, prompts, [what for what, tower in towers.items() if not tower.files])
        data = clip_score.to_json(values, prompts)
        return {"ui": {"text": [text]}, "result": (scores.value("clip_score"), scores, data, text)}


class ScoreEdit:
    DISPLAY_NAME = "Score Edit"
    CATEGORY = CATEGORY
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
        "TRILEMMA_SCORES",
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

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        share = {"min": 0.0, "max": 1.0, "step": 0.01}
        return {
            "required": {
                "original": ("IMAGE", {"tooltip": "The images before the edit; alpha is ignored."}),
                "edited": ("IMAGE", {"tooltip": "The images after it, of the same size; alpha is ignored."}),
                "mask": (
                    "MASK",
                    {
                        "tooltip": "Where the edit was allowed, such as Stitch Objects gives it: above 0 pixels may "
                        "change, from 0.5 they are the hole. One mask per image, or one for all."
                    },
                ),
            },
            "optional": {
                "detector": ("TRILEMMA_DETECTOR", {"tooltip": "Without it, only the rest and the seam are judged."}),
                "new_object": ("STRING", {"default": "", "tooltip": "What should be in the hole; empty: not asked."}),
                "old_object": ("STRING", {"default": "", "tooltip": "What was in the hole; empty: not asked."}),
                "box_threshold": (
                    "FLOAT",
                    {**share, "default": 0.35, "tooltip": "The detector has seen what scores higher than this."},
                ),
                "min_iou": (
                    "FLOAT",
                    {
                        **share,
                        "default": 0.5,
                        "tooltip": "Overlap of the new object's box with the hole's, intersection over union.",
                    },
                ),
                "name": _name("edit"),
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
        box_threshold: float = 0.35,
        min_iou: float = 0.5,
        name: str = "edit",
    ) -> dict[str, Any]:
        matched = pairs.match_pairs(original, edited, ("original", "edited"))
        question = detections = None
        if detector is not None:
            question = edits.ask(new_object, old_object)
            frames, height, width = matched.image.shape[:3]
            memory = grounding_dino.memory_bytes(detector.model, 1, height, width)
            with host.placed(detector, memory=memory), host.progress(frames) as on_step:
                detections = grounding_dino.detect(detector.model, matched.image, question.prompt, 1, on_step)
        verdicts = edits.judge(matched, mask, question, detections, box_threshold, min_iou)
        provenance = {"images": len(verdicts), "new_object": new_object, "old_object": old_object}
        scores = Scores(name, edit_report.as_scores(verdicts, question), provenance=provenance)
        text = edit_report.describe(verdicts, question)
        result = (
            scores.value("edit_done") == 1,
            edit_report.new_object_score(verdicts),
            scores.value("old_object_gone") == 1,
            *(scores.value(metric) for metric in ("untouched_psnr", "untouched_difference", "seam")),
            scores,
            edit_report.to_json(verdicts, question),
            text,
        )
        return {"ui": {"text": [text]}, "result": result}


class ScoreGate:
    DISPLAY_NAME = "Score Gate"
    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Fails the run, by name and number, when a score misses its threshold; headless.py then exits with 3. What "
        "comes in passes through, so that what follows is only saved if the gate opens."
    )
    SEARCH_ALIASES = ["threshold", "assert", "quality gate", "fail if", "check score", "ci", "regression test"]
    RETURN_TYPES = ("TRILEMMA_SCORES", "FLOAT", "STRING")
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
                "name": ("STRING", {"default": "quality", "tooltip": "Of the gate; the failure begins with it."}),
                "metric": (
                    "STRING",
                    {
                        "default": "",
                        "tooltip": "Which of the connected scores: fid, kid, psnr, clip_score, edit_done, seam, ..., "
                        "or a cost, such as seconds_per_image. Not read for a value.",
                    },
                ),
                "comparison": (list(gate.COMPARISONS), {"tooltip": "Which side of the threshold passes; it does too."}),
                "threshold": (
                    "FLOAT",
                    {
                        "default": 0.0,
                        "min": -1e9,
                        "max": 1e9,
                        "step": 0.01,
                        "round": False,
                        "tooltip": "In the unit of the score; a missing score and NaN always fail.",
                    },
                ),
            },
            "optional": {
                "scores": ("TRILEMMA_SCORES", {"tooltip": "From a scoring node; its metric is checked."}),
                "value": ("FLOAT", {"forceInput": True, "tooltip": "Any number; checked as well."}),
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
        return {"ui": {"text": [text]}, "result": (scores, math.nan if value is None else value, text)}


NODES = {
    "TrilemmaCompareImages": CompareImages,
    "TrilemmaCLIPScore": CLIPScore,
    "TrilemmaScoreEdit": ScoreEdit,
    "TrilemmaScoreGate": ScoreGate,
}
