"""Held-out figures of the starter segmenter, measured through the pack's own loader and decoder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from trilemma.models.detection.loading import load_detector
from trilemma.models.pictures.packed import paint
from trilemma.models.segmentation.base import Embedding, Segmenter
from trilemma.models.segmentation.decoding import segment
from trilemma.models.segmentation.everything import segment_everything
from trilemma.models.segmentation.loading import load_segmenter
from trilemma.models.segmentation.prompts import Point, Prompt
from trilemma.models.values import Objects

from .cards import Figures
from .evaluate_detector import BOX_THRESHOLD, find
from .scenes import Scene, Sprites, compose

STREAM = 20272
JITTER = 0.05


def evaluate(folder: Path, sprites: Sprites, count: int = 300, everything: int = 100) -> Figures:
    """Figures over `count` new scenes of 1 to 4 sprites; the starter detector beside `folder` gives the detected boxes.

    Segment Everything, which is slow, sees the first `everything` scenes. A sprite that the detector misses counts with
    IoU 0 in the figures from words, and not at all in the others.
    """
    segmenter = load_segmenter(folder)
    detector = load_detector(folder.with_name("emoji_detector"))
    exact, jittered, pointed, worded, recalled, precise = [], [], [], [], [], []
    for index in range(count):
        rng = np.random.default_rng([STREAM, index])
        scene = compose(rng, sprites)
        embedding = segmenter.encode(torch.tensor(scene.image)[None] / 255)
        exact += _prompted_iou(segmenter, embedding, scene, [_box_prompt(box) for box in scene.boxes])
        jittered += _prompted_iou(segmenter, embedding, scene, [_box_prompt(_jitter(rng, box)) for box in scene.boxes])
        pointed += _prompted_iou(segmenter, embedding, scene, [_point_prompt(rng, mask) for mask in scene.masks])
        boxes = [box for box in find(detector, scene.image, sorted(set(scene.names))) if box.score > BOX_THRESHOLD]
        named = masks_of(segment(segmenter, embedding, [_box_prompt(box.box) for box in boxes]))
        worded += [
            _best_iou(mask, named[[box.name == name for box in boxes]])
            for mask, name in zip(scene.masks, scene.names, strict=True)
        ]
        if index < everything:
            found = masks_of(segment_everything(segmenter, embedding))
            recalled += [_best_iou(mask, found) for mask in scene.masks]
            precise += [_best_iou(mask.numpy(), torch.from_numpy(scene.masks)) for mask in found]
    return {
        "scenes": count,
        "sprites": len(exact),
        "mean IoU from exact boxes": float(np.mean(exact)),
        "median IoU from exact boxes": float(np.median(exact)),
        "mean IoU from boxes moved by up to 5 % a side": float(np.mean(jittered)),
        "mean IoU from one point": float(np.mean(pointed)),
        "mean IoU from words (starter detector)": float(np.mean(worded)),
        "Segment Everything: scenes": everything,
        "Segment Everything: recall at IoU 0.5": _share_above_half(recalled),
        "Segment Everything: precision at IoU 0.5": _share_above_half(precise),
    }


def masks_of(objects: Objects) -> Tensor:
    """bool [N, H, W]: the objects' masks at full size."""
    canvas = torch.zeros(len(objects.objects), objects.height, objects.width, dtype=torch.bool)
    for target, found in zip(canvas, objects.objects, strict=True):
        paint(target, found.mask)
    return canvas


def _prompted_iou(segmenter: Segmenter, embedding: Embedding, scene: Scene, prompts: Sequence[Prompt]) -> list[float]:
    found = masks_of(segment(segmenter, embedding, prompts))
    return [_best_iou(mask, answer[None]) for mask, answer in zip(scene.masks, found, strict=True)]


def _best_iou(mask: np.ndarray, candidates: Tensor) -> float:
    """The best IoU of one bool mask [H, W] with bool candidates [N, H, W]; 0 where there are none."""
    wanted = torch.from_numpy(mask)
    overlaps = (candidates & wanted).sum(dim=(1, 2)) / (candidates | wanted).sum(dim=(1, 2))
    return float(overlaps.max()) if len(overlaps) else 0.0


def _box_prompt(box: np.ndarray) -> Prompt:
    x0, y0, x1, y1 = (float(side) for side in box)
    return Prompt(0, {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0}, ())


def _jitter(rng: np.random.Generator, box: np.ndarray) -> np.ndarray:
    sides = np.tile(box[2:] - box[:2], 2)
    return (box + rng.uniform(-JITTER, JITTER, 4) * sides).clip(0, 128)


def _point_prompt(rng: np.random.Generator, mask: np.ndarray) -> Prompt:
    rows, columns = np.nonzero(mask)
    index = rng.integers(len(rows))
    return Prompt(0, None, (Point(float(columns[index]) + 0.5, float(rows[index]) + 0.5, 1),))


def _share_above_half(overlaps: Sequence[float]) -> float:
    return sum(overlap >= 0.5 for overlap in overlaps) / max(1, len(overlaps))
