"""A selection as the page's node shows it: boxes with their numbers, and how the scores of each phrase are spread."""

from __future__ import annotations

from typing import Any, Final

import torch

from ..values import Detections
from .selection import Selection, name_queries, thresholds_of

BINS: Final = 50
"""Of scores from 0 to 1."""


def to_page(detections: Detections, selection: Selection, box_threshold: float) -> dict[str, Any]:
    """Values that JSON knows.

    width, height: of the images, pixels. images: of each its boxes, those that were dropped by hand behind the others,
    with the number that drops them. phrases: of each its label, its threshold, and how many candidates of all images
    that are named after it have a score in each of BINS equal parts of 0..1.
    """
    images = [
        [
            {**box, "number": number, "phrase": detections.phrases.index(box["label"])}
            for number, box in (*zip(numbers, boxes, strict=True), *dropped)
        ]
        for numbers, boxes, dropped in zip(selection.numbers, selection.boxes, selection.dropped, strict=True)
    ]
    counts = torch.zeros(len(detections.phrases), BINS, dtype=torch.long)
    for frame in range(len(detections.boxes)):
        named = name_queries(detections, frame)
        there = named.area > 0
        bins = (named.score[there] * BINS).long().clamp(0, BINS - 1)
        counts.view(-1).add_(torch.bincount(named.name[there] * BINS + bins, minlength=counts.numel()))
    thresholds = thresholds_of(detections, box_threshold)
    phrases = [
        {"label": label, "threshold": threshold, "counts": row}
        for label, threshold, row in zip(detections.phrases, thresholds, counts.tolist(), strict=True)
    ]
    return {"width": detections.width, "height": detections.height, "images": images, "phrases": phrases}
