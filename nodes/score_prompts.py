"""Nodes of the menu Trilemma/Score that verify prompts: sets of them, and whether pictures show what they ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch

from .. import host
from ..models.detection.prompt import split
from ..models.errors import BadInput, MissingFile
from ..models.files.paths import file_inside, fingerprint
from ..models.pictures.boxes import Box
from ..models.pictures.images import rgb
from ..models.pictures.packed import paint
from ..models.scoring import taken_by
from ..models.scoring.metrics import clip_score
from ..models.scoring.reports import verification_report
from ..models.scoring.scores import Scores
from ..models.scoring.verification import colours, records, verdicts
from ..models.scoring.verification.records import Record
from ..models.segmentation.decoding import memory_bytes, prompts_per_chunk, segment
from ..models.segmentation.prompts import read_prompts
from ..models.steps import after
from .common import folders, inputs, kinds, menus
from .common.metric_inputs import name_of_images
from .common.showing import show_text

OWN: Final = "own"
FORM: Final = (
    "Records in the form of GenEval's evaluation_metadata.jsonl, one to a line, or the name of such a file in the "
    "input folder."
)


class PromptSet:
    DISPLAY_NAME = "Prompt Set"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "Prompts with what their pictures have to show, in the form that GenEval publishes: the pack's own, or a file "
        "such as evaluation_metadata.jsonl. Condition draws by them, Score Prompt verifies what was drawn."
    )
    SEARCH_ALIASES = ["geneval", "benchmark prompts", "evaluation metadata", "prompt list", "jsonl"]
    RETURN_TYPES = ("STRING", "STRING", "INT", "STRING")
    RETURN_NAMES = ("metadata", "prompts", "count", "report")
    OUTPUT_TOOLTIPS = (
        "The records, one to a line, for Score Prompt.",
        "The prompts, one to a line, for Condition.",
        "How many there are, for Sample Images.",
        "How many of each kind.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "prompts": inputs.choice([*records.SHIPPED, OWN], "A set that comes with the pack, or your own."),
            },
            "optional": {
                "own_records": inputs.multiline("", f"Your own, where prompts says so. {FORM}", records.EXAMPLE),
                "kinds": inputs.text(
                    "", "Tags separated by commas of the kinds that are kept, such as counting, position; empty: all."
                ),
            },
        }

    @classmethod
    def IS_CHANGED(cls, prompts: str, own_records: str = "", **settings: Any) -> str:
        return _state(own_records) if prompts == OWN else ""

    def run(self, prompts: str, own_records: str = "", kinds: str = "") -> dict[str, Any]:
        found = _read(own_records) if prompts == OWN else records.shipped(prompts)
        kept = records.of_kinds(found, kinds)
        counts = {kind: sum(record.tag == kind for record in kept) for kind in records.KINDS}
        told = [f"{records.KINDS[kind]}: {count}" for kind, count in counts.items() if count]
        report = "\n".join([f"{len(kept)} prompts", *told])
        lines = "\n".join(" ".join(record.prompt.split()) for record in kept)
        return show_text(report, records.write(kept), lines, len(kept), report)


class ScorePrompt:
    DISPLAY_NAME = "Score Prompt"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "Whether pictures show what their prompts ask for, by GenEval's protocol: objects, how many, their colours and "
        "places, seen by a detector. A verdict with its reason for each picture, and the share that is right."
    )
    SEARCH_ALIASES = [
        "geneval",
        "prompt adherence",
        "prompt alignment",
        "compositional",
        "object count",
        "text to image benchmark",
    ]
    RETURN_TYPES = ("FLOAT", "BOUNDING_BOX", kinds.SCORES, "STRING", "STRING")
    RETURN_NAMES = ("prompts_right", "boxes", "scores", "data", "report")
    OUTPUT_TOOLTIPS = (
        "Mean over the kinds of prompts of the share of pictures that are right, 0 to 1.",
        "What was found in each picture, for Draw Detections.",
        "The mean and each kind with intervals, for Score Gate and Leaderboard.",
        "JSON: the verdict on every picture with reasons and boxes, and the shares.",
        "The shares, who judged, and the verdict on every picture in words.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "images": inputs.link(
                    "IMAGE",
                    "Picture i was drawn by prompt i, and by the first again after the last; a single picture is held "
                    "against all. Alpha is ignored.",
                ),
                "detector": inputs.link(kinds.DETECTOR, "The judge, from Load Detector."),
                "metadata": inputs.multiline("", f"From Prompt Set. {FORM}", records.EXAMPLE),
            },
            "optional": {
                "segmenter": inputs.link(
                    kinds.SEGMENTER, "Cuts out the objects whose colours count; without it their boxes do."
                ),
                "clip": inputs.link("CLIP", "With clip_vision: names colours, as GenEval does. Else the pixels do."),
                "clip_vision": inputs.link("CLIP_VISION", "The image half of the same CLIP."),
                "threshold": inputs.share(verdicts.THRESHOLD, "The detector has seen what scores higher than this."),
                "counting_threshold": inputs.share(verdicts.COUNTING_THRESHOLD, "The same where objects are counted."),
                "nms_threshold": inputs.share(
                    verdicts.NMS, "Of boxes of one class that overlap by more than this IoU, the best stays."
                ),
                "position_margin": inputs.share(
                    verdicts.MARGIN, "How far beside the other a centre must lie, as a share of both objects' sizes."
                ),
                "also_ask": inputs.multiline(
                    "",
                    "More that the detector is asked for, as in Detect by Text, so that what is none of a prompt's "
                    "objects gets a name of its own.",
                ),
                "name": name_of_images("prompted images"),
            },
            "hidden": {"graph": "DYNPROMPT", "node_id": "UNIQUE_ID"},
        }

    @classmethod
    def IS_CHANGED(cls, metadata: str = "", **settings: Any) -> str:
        return _state(metadata or "")

    def run(
        self,
        images: torch.Tensor,
        detector: host.Handle,
        metadata: str,
        segmenter: host.Handle | None = None,
        clip: Any = None,
        clip_vision: Any = None,
        threshold: float = verdicts.THRESHOLD,
        counting_threshold: float = verdicts.COUNTING_THRESHOLD,
        nms_threshold: float = verdicts.NMS,
        position_margin: float = verdicts.MARGIN,
        also_ask: str = "",
        name: str = "prompted images",
        graph: Any = None,
        node_id: str | None = None,
    ) -> dict[str, Any]:
        if (clip is None) != (clip_vision is None):
            raise BadInput("clip, clip_vision: one of them is missing; connect both halves of a CLIP, or neither.")
        pictures, asked = records.matched(rgb(images), _read(metadata))
        limits = verdicts.Limits(threshold, counting_threshold, nms_threshold, position_margin)
        also = split(also_ask) if also_ask.strip() else ()
        towers = () if clip is None else _towers(clip, clip_vision, graph, node_id)
        objects = _detect(pictures, detector, verdicts.questions(asked, limits, also), limits)
        wanted = [verdicts.to_colour(record, found) for record, found in zip(asked, objects, strict=True)]
        masks = _masks(pictures, segmenter, objects, wanted) if segmenter is not None else {}
        keys = [(frame, *each) for frame, named in enumerate(wanted) for each in named]
        embed = (towers[0].embed, towers[1].embed) if towers else None
        with host.progress(max(1, len(keys))) as on_step:
            colour = colours.of_objects(pictures, objects, keys, masks, embed, on_step)
        judged = [
            verdicts.judge(record, found, lambda kind, place, frame=frame: colour[frame, kind, place], position_margin)
            for frame, (record, found) in enumerate(zip(asked, objects, strict=True))
        ]
        coloured = any(each.colour for record in asked for each in record.include)
        cut = segmenter.model if segmenter is not None and coloured else None
        seen_by = [tower.identity for tower in towers] if coloured else []
        provenance = {
            "images": len(judged),
            taken_by.KEY: taken_by.of_verified_prompts(asked, detector.model, cut, seen_by, limits, also),
        }
        influences = verification_report.influences_of(judged)
        scores = Scores(name, verification_report.as_scores(judged), provenance=provenance, influences=influences)
        text = verification_report.describe(judged, _judge(detector, cut, bool(seen_by), coloured, limits))
        boxes = [[box for group in found.values() for box in group] for found in objects]
        mean = scores.value(verification_report.OVERALL)
        return show_text(text, mean, boxes, scores, verification_report.to_json(judged), text)


def _state(metadata: str) -> str:
    return "" if records.is_text(metadata) else folders.state_of(lambda: _file(metadata), fingerprint)


def _file(name: str) -> Any:
    return file_inside(host.input_folder(), name.strip(), "metadata", "evaluation_metadata.jsonl")


def _read(metadata: str) -> tuple[Record, ...]:
    if records.is_text(metadata) or not metadata.strip():
        return records.read(metadata)
    path = _file(metadata)
    if not path.is_file():
        raise MissingFile(f"metadata: there is no {metadata.strip()!r} in {host.input_folder()}; put the file there.")
    try:
        return records.read(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BadInput(f"metadata: {metadata.strip()!r} is no text ({error}); give a file of records.") from error


def _towers(clip: Any, clip_vision: Any, graph: Any, node_id: str | None) -> tuple[Any, Any]:
    towers = host.text_tower(clip, graph, node_id), host.image_tower(clip_vision, graph, node_id)
    for what, tower in zip(("clip", "clip_vision"), towers, strict=True):
        clip_score.check_projection(tower.projection, what, tower.files, tower.in_files)
    return towers


def _detect(
    pictures: torch.Tensor, detector: host.Handle, questions: Sequence[verdicts.Question], limits: verdicts.Limits
) -> list[dict[str, list[Box]]]:
    """Of each picture what was found of its prompt's classes."""
    count, height, width = pictures.shape[:3]
    found: list[dict[str, list[Box]]] = [{} for _ in range(count)]
    memory = detector.model.memory_bytes(1, height, width)
    with host.placed(detector, memory=memory), host.progress(count) as on_step:
        done = 0
        for question in questions:
            frames = [*question.frames]
            detections = detector.model.detect(pictures[frames], question.prompt, 1, after(on_step, done))
            for frame, objects in zip(frames, verdicts.objects_of(detections, question.threshold, limits), strict=True):
                found[frame] = objects
            done += len(frames)
    return found


def _masks(
    pictures: torch.Tensor,
    segmenter: host.Handle,
    objects: Sequence[verdicts.Objects],
    wanted: Sequence[Sequence[tuple[str, int]]],
) -> dict[colours.Key, torch.Tensor]:
    """bool [H, W] of the objects whose colours count."""
    frames = [frame for frame, asked in enumerate(wanted) if asked]
    if not frames:
        return {}
    model = segmenter.model
    with host.placed(segmenter, memory=model.encode_bytes(1)), host.progress(len(frames)) as on_step:
        embedding = model.encode(pictures[frames], 1, on_step)
    keys = [(frame, *asked) for frame in frames for asked in wanted[frame]]
    boxes = [[verdicts.of_class(objects[frame], name)[place] for name, place in wanted[frame]] for frame in frames]
    prompts = read_prompts(len(frames), embedding.height, embedding.width, boxes)
    at_once = min(prompts_per_chunk(model), len(prompts))
    with host.placed(segmenter, memory=memory_bytes(model, embedding, at_once)), host.progress(len(keys)) as on_step:
        cut = host.halving(lambda chunk: segment(model, embedding, prompts, on_step=on_step, chunk_size=chunk), at_once)
    masks = torch.zeros(len(keys), *pictures.shape[1:3], dtype=torch.bool)
    for canvas, found in zip(masks, cut.objects, strict=True):
        paint(canvas, found.mask)
    return dict(zip(keys, masks, strict=True))


def _judge(detector: host.Handle, cut: Any, by_clip: bool, coloured: bool, limits: verdicts.Limits) -> str:
    counted = f"boxes above {limits.threshold:g}, above {limits.counting_threshold:g} where objects are counted"
    who = f"{detector.model.architecture} {detector.model.identity[:8]} ({counted})"
    if not coloured:
        return who
    where = "masks" if cut else "boxes"
    how = f"CLIP on their {where}" if by_clip else f"the pixels of their {where}, nearest shades in CIELAB"
    return f"{who}; colours by {how}"


NODES = {"TrilemmaPromptSet": PromptSet, "TrilemmaScorePrompt": ScorePrompt}
