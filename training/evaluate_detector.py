"""Held-out figures of the starter detector, measured through the pack's own loader and selection."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from trilemma.models.detection.base import Detector
from trilemma.models.detection.loading import load_detector
from trilemma.models.detection.selection import select

from .average_precision import Candidate, average_precision, box_iou
from .cards import Figures
from .scenes import NAMES, Scene, Sprites, compose, resize

BOX_THRESHOLD = 0.35
NMS = 0.6
LOWEST = 0.02
STREAM = 20271


class Found(NamedTuple):
    """One selected box."""

    name: str
    score: float
    box: np.ndarray
    """float [4], x0 y0 x1 y1 in pixels."""


def evaluate(folder: Path, sprites: Sprites, count: int = 600) -> Figures:
    """Figures over `count` new scenes of 1 to 4 sprites, and over half as many of one large, blurry sprite."""
    detector = load_detector(folder)
    scenes = [compose(np.random.default_rng([STREAM, index]), sprites) for index in range(count)]
    absent = [_absent_names(index, scene) for index, scene in enumerate(scenes)]
    prompts = [sorted({*scene.names, *names}) for scene, names in zip(scenes, absent, strict=True)]
    found = [find(detector, scene.image, names) for scene, names in zip(scenes, prompts, strict=True)]
    confident = [[box for box in boxes if box.score > BOX_THRESHOLD] for boxes in found]
    alarms = [
        len({box.name for box in boxes} & set(names)) / len(names)
        for boxes, names in zip(confident, absent, strict=True)
    ]
    alone = [find(detector, scene.image, names[:1]) for scene, names in zip(scenes, absent, strict=True)]
    recall, precision = recall_and_precision(scenes, confident)
    return {
        "scenes": count,
        "names": len(NAMES),
        "mAP50": mean_average_precision(scenes, found),
        "box threshold": BOX_THRESHOLD,
        "recall at the threshold, IoU 0.5": recall,
        "precision at the threshold, IoU 0.5": precision,
        "absent name fires, among other names": float(np.mean(alarms)),
        "absent name fires, asked alone": float(np.mean([_fires(boxes) for boxes in alone])),
        "one sprite drawn at 64 px and enlarged: found": _enlarged_recall(detector, sprites, count // 2),
    }


def find(detector: Detector, image: np.ndarray, names: Sequence[str]) -> list[Found]:
    """All boxes above a very low threshold in a uint8 [S, S, 3] image, asked for by name."""
    pixels = torch.tensor(image)[None] / 255
    detections = detector.detect(pixels, " . ".join(names), 1)
    selection = select(detections, box_threshold=LOWEST, text_threshold=0.0, nms_threshold=NMS)
    return [
        Found(
            box["label"],
            box["score"],
            np.array([box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]]),
        )
        for box in selection.boxes[0]
    ]


def mean_average_precision(scenes: Sequence[Scene], found: Sequence[Sequence[Found]]) -> float:
    """Mean over the names of AP at IoU 0.5."""
    scores = []
    for name in NAMES:
        candidates = [
            Candidate(image, box.score, box.box)
            for image, boxes in enumerate(found)
            for box in boxes
            if box.name == name
        ]
        scores.append(average_precision(candidates, [boxes_of(scene, name) for scene in scenes]))
    return float(np.mean([score for score in scores if score is not None]))


def recall_and_precision(scenes: Sequence[Scene], found: Sequence[Sequence[Found]]) -> tuple[float, float]:
    """Share of sprites found, and share of boxes that are right, both with the right name and IoU 0.5."""
    total = sum(len(scene.names) for scene in scenes)
    hits = 0
    for scene, boxes in zip(scenes, found, strict=True):
        free = np.ones(len(scene.names), bool)
        for box in boxes:
            named = np.array([name == box.name for name in scene.names])
            overlaps = box_iou(box.box, scene.boxes) * free * named
            if overlaps.max() >= 0.5:
                free[overlaps.argmax()] = False
                hits += 1
    return hits / total, hits / max(1, sum(map(len, found)))


def boxes_of(scene: Scene, name: str) -> np.ndarray:
    """float32 [N, 4]: the scene's boxes of this name."""
    return scene.boxes[[shown == name for shown in scene.names]]


def _absent_names(index: int, scene: Scene) -> list[str]:
    rng = np.random.default_rng([STREAM, index, 1])
    absent = [name for name in NAMES if name not in scene.names]
    return [str(name) for name in rng.choice(absent, rng.integers(1, 13), replace=False)]


def _fires(boxes: Sequence[Found]) -> bool:
    return any(box.score > BOX_THRESHOLD for box in boxes)


def _enlarged_recall(detector: Detector, sprites: Sprites, count: int) -> float:
    hits = 0
    for index in range(count):
        rng = np.random.default_rng([STREAM, index, 2])
        scene = resize(compose(rng, sprites, size=64, count=(1, 1), scale=(0.4, 0.85)), 128)
        boxes = find(detector, scene.image, [scene.names[0]])
        hits += any(box.score > BOX_THRESHOLD and box_iou(box.box, scene.boxes).max() >= 0.5 for box in boxes)
    return hits / count
