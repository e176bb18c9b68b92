"""All objects of an image without prompts: points of a grid ask for them, weak answers and repetitions go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch

from ..pictures.boxes import corners, suppress
from ..pictures.packed import pack
from ..steps import OnStep, quiet
from ..values import Objects, PackedMask, SegmentedObject
from .base import Embedding, Segmenter
from .decoding import check_embedding, mask_bounds, prompts_per_chunk
from .prompts import Point, Prompt


class _Candidate(NamedTuple):
    mask: PackedMask
    predicted_iou: float


@torch.no_grad()
def segment_everything(
    segmenter: Segmenter,
    embedding: Embedding,
    points_per_side: int = 16,
    predicted_iou_threshold: float = 0.6,
    stability_threshold: float = 0.6,
    nms_threshold: float = 0.7,
    stability_offset: float = 1.0,
    on_step: OnStep = quiet,
    chunk_size: int | None = None,
) -> Objects:
    """Objects of every image, the best predicted IoU first, unlabelled, scored by predicted IoU.

    Each of points_per_side^2 points, evenly spaced, asks for three masks. A mask stays when its predicted IoU
    is above `predicted_iou_threshold`, when its stability reaches `stability_threshold`, and when its bounds overlap
    those of no better mask by more than `nms_threshold` (IoU). Stability is the IoU between the mask cut
    `stability_offset` above the logit threshold, 0, and the mask cut as far below it. These are the rules of SAM's
    own automatic mask generator, without its crops; its defaults, for the largest SAM, are 0.88 and 0.95.

    `on_step` gets the points done so far, of all images; `chunk_size` as in `segment`.

    Raises:
        BadInput: the embedding was made by another segmenter.
    """
    check_embedding(segmenter, embedding)
    size = (embedding.height, embedding.width)
    chunk_size = chunk_size or prompts_per_chunk(segmenter)
    objects: list[SegmentedObject] = []
    done = 0
    for frame in range(embedding.frames):
        seen = segmenter.seen(embedding, frame)
        prompts = _grid(frame, points_per_side, *size)
        candidates: list[_Candidate] = []
        for start in range(0, len(prompts), chunk_size):
            chunk = prompts[start : start + chunk_size]
            logits, ious = segmenter.decode(seen, 0, chunk, three=True)
            confident = ious > predicted_iou_threshold
            for mask, iou in zip(logits[confident], ious[confident].tolist(), strict=True):
                full = segmenter.upscale(mask, *size)
                if _stability(full, stability_offset) >= stability_threshold:
                    candidates.append(_Candidate(pack(full > 0), iou))
            done += len(chunk)
            on_step(done)
        objects += _distinct(frame, candidates, nms_threshold)
    return Objects(tuple(objects), embedding.frames, *size)


def _grid(frame: int, points_per_side: int, height: int, width: int) -> list[Prompt]:
    """Points in the middles of points_per_side^2 equal tiles, row by row."""
    fractions = [(i + 0.5) / points_per_side for i in range(points_per_side)]
    return [Prompt(frame, None, (Point(x * width, y * height, 1),)) for y in fractions for x in fractions]


def _stability(logits: torch.Tensor, offset: float) -> float:
    wide = int((logits > -offset).sum())
    return int((logits > offset).sum()) / wide if wide else 0.0


def _distinct(frame: int, candidates: list[_Candidate], nms_threshold: float) -> Iterator[SegmentedObject]:
    bounds = [mask_bounds(candidate.mask) for candidate in candidates]
    keys = ("x", "y", "width", "height")
    scores = torch.tensor([candidate.predicted_iou for candidate in candidates])
    kept = suppress(corners([dict(zip(keys, box, strict=True)) for box in bounds]), scores, nms_threshold)
    for i in kept.tolist():
        score = min(max(candidates[i].predicted_iou, 0.0), 1.0)
        yield SegmentedObject(frame, bounds[i], "", score, candidates[i].mask)
