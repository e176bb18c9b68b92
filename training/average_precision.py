"""Average precision at one IoU threshold, as PASCAL VOC has computed it since 2010 (area under the whole curve)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Candidate(NamedTuple):
    """One detection of one class."""

    image: int
    score: float
    box: np.ndarray
    """float [4], x0 y0 x1 y1 in pixels."""


def average_precision(
    candidates: Sequence[Candidate], truth: Sequence[np.ndarray], threshold: float = 0.5
) -> float | None:
    """AP in 0..1 of one class; None where no image shows it.

    truth: per image the float [N, 4] boxes of the class. The best candidate takes a box first; a second candidate
        for the same box is a false alarm.
    """
    total = sum(map(len, truth))
    if total == 0:
        return None
    free = [np.ones(len(boxes), bool) for boxes in truth]
    hits = []
    for candidate in sorted(candidates, key=lambda candidate: -candidate.score):
        overlaps = box_iou(candidate.box, truth[candidate.image]) * free[candidate.image]
        hit = len(overlaps) > 0 and overlaps.max() >= threshold
        if hit:
            free[candidate.image][overlaps.argmax()] = False
        hits.append(hit)
    found = np.cumsum(hits)
    precision = found / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((envelope * hits).sum() / total)


def box_iou(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """float [N]: IoU of one box [4] with boxes [N, 4], all x0 y0 x1 y1."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    common = np.clip(high - low, 0, None).prod(axis=1)
    return common / ((box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) - common)
