"""Was an edit done, is the rest untouched, and how visible is the seam: one verdict per image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from ...detection.prompt import parse
from ...detection.selection import select
from ...errors import BadInput
from ...pictures.boxes import Box, corners, pairwise_iou
from ...pictures.dust import MASK_THRESHOLD, without_dust
from ...pictures.images import match_masks
from ...pictures.seam import seam_score
from ...values import Detections
from .pairs import Pairs

NMS = 0.6
"""As Select Detections suppresses overlaps, and as the starter inpainter's figures are measured."""
DEFAULT_THRESHOLD = 0.35
DEFAULT_IOU = 0.5
HALF = 0.5
"""Mask value from which a pixel belongs to the hole, and share of its box by which an object lies in the hole."""
LEVELS = 255
ROUNDING = 1e-3
"""Of a level, as float32 has them."""


class Question(NamedTuple):
    """new, old: phrases of the wanted and of the replaced object; either may be empty. prompt: for the detector."""

    new: tuple[str, ...]
    old: tuple[str, ...]
    prompt: str


@dataclass(frozen=True)
class Seen:
    """What the detector sees in the hole of one image; None where that was not asked.

    found: the new object, with `score` and `iou` of the likeliest box that matches the hole; NaN where none does.
    nearest_iou: where it was not found, of its box nearest to the hole; NaN if there is none.
    gone: no box of the old object lies in the hole; else `old_score` is that of the likeliest.
    """

    found: bool | None
    score: float
    iou: float
    nearest_iou: float
    gone: bool | None
    old_score: float

    @property
    def done(self) -> bool:
        """All that was asked for is so."""
        return self.found is not False and self.gone is not False


@dataclass(frozen=True)
class Verdict:
    """Of one image.

    hole: x, y, width, height in pixels; None where the mask is empty.
    seen: None where no detector was asked, or nothing was to be edited.
    untouched_psnr: dB, over all pixels outside the mask; infinite where none has changed; NaN where there are none.
    untouched_difference: greatest absolute difference of a value there, 0..1.
    seam: `seam.seam_score` along the mask's edge; NaN where the mask has none.
    """

    hole: tuple[int, int, int, int] | None
    seen: Seen | None
    untouched_psnr: float
    untouched_difference: float
    seam: float


def ask(new_object: str, old_object: str) -> Question:
    """What to ask a detector for: both at once, so that an object counts under the likelier of the two names.

    Raises:
        BadInput: neither is named, or the same phrase is both.
    """
    if not new_object.strip() and not old_object.strip():
        raise BadInput("new_object, old_object: both are empty; name one of them, or disconnect the detector.")
    asked = [parse(text) if text.strip() else () for text in (new_object, old_object)]
    new, old = (tuple(phrase.text for phrase in phrases) for phrases in asked)
    both = {phrase.lower() for phrase in new} & {phrase.lower() for phrase in old}
    if both:
        raise BadInput(f"new_object, old_object: {min(both)!r} is both; name what tells the two apart.")
    return Question(new, old, " . ".join(phrase.written for phrases in asked for phrase in phrases))


def judge(
    pairs: Pairs,
    mask: torch.Tensor,
    question: Question | None = None,
    detections: Detections | None = None,
    box_threshold: float = DEFAULT_THRESHOLD,
    min_iou: float = DEFAULT_IOU,
    mask_threshold: float = MASK_THRESHOLD,
) -> list[Verdict]:
    """One verdict for each pair of an original (`reference`) and an edited image.

    mask: [B, H, W] as `images.match_masks` takes it. From `mask_threshold` on an image may have changed; where it is at
        least 0.5 is the hole, whose box is that of all its pixels together. Below, a value may have moved as far as a
        paste of the mask's weight can move it, up to the next of 255 levels: a soft edge fades out through there, and
        dust hides nothing.
    question, detections: of the edited images, with the question's prompt; None leaves out what the detector sees.
    box_threshold: lowest score of a box that counts. min_iou: of a new object's box with the hole's box.

    Raises:
        BadInput: masks that do not fit the images.
    """
    count, height, width = pairs.image.shape[:3]
    masks = match_masks(mask, count, height, width).to(pairs.image.device)
    clean = match_masks(without_dust(mask, mask_threshold), count, height, width).to(pairs.image.device)
    holes = [_hole(one) for one in clean]
    seen: list[Seen | None] = [None] * count
    if question is not None and detections is not None:
        boxes = select(detections, box_threshold=box_threshold, text_threshold=0.0, nms_threshold=NMS).boxes
        seen = [
            None if hole is None else _look(found, hole, question, min_iou)
            for found, hole in zip(boxes, holes, strict=True)
        ]
    return [
        Verdict(hole, sight, *_untouched(original, edited, soft, one), _seam(original, edited, soft, one))
        for original, edited, soft, one, hole, sight in zip(*pairs, masks, clean, holes, seen, strict=True)
    ]


def _hole(mask: torch.Tensor) -> tuple[int, int, int, int] | None:
    inside = mask >= HALF
    if not bool(inside.any()):
        return None
    rows, columns = inside.any(dim=1).nonzero().flatten(), inside.any(dim=0).nonzero().flatten()
    left, top = int(columns[0]), int(rows[0])
    return left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top


def _look(boxes: Sequence[Box], hole: tuple[int, int, int, int], question: Question, min_iou: float) -> Seen:
    x, y, width, height = hole
    place = corners([{"x": x, "y": y, "width": width, "height": height}])
    new = [box for box in boxes if box["label"] in question.new]
    overlaps = pairwise_iou(corners(new), place)[:, 0].tolist()
    matching = [(box["score"], iou) for box, iou in zip(new, overlaps, strict=True) if iou >= min_iou]
    score, iou = max(matching, default=(math.nan, math.nan))
    old = [box["score"] for box in boxes if box["label"] in question.old and _share_inside(box, hole) >= HALF]
    return Seen(
        found=bool(matching) if question.new else None,
        score=score,
        iou=iou,
        nearest_iou=math.nan if matching else max(overlaps, default=math.nan),
        gone=not old if question.old else None,
        old_score=max(old, default=math.nan),
    )


def _share_inside(box: Box, hole: tuple[int, int, int, int]) -> float:
    x, y, width, height = hole
    wide = min(box["x"] + box["width"], x + width) - max(box["x"], x)
    high = min(box["y"] + box["height"], y + height) - max(box["y"], y)
    return max(wide, 0) * max(high, 0) / (box["width"] * box["height"])


def _untouched(
    original: torch.Tensor, edited: torch.Tensor, soft: torch.Tensor, mask: torch.Tensor
) -> tuple[float, float]:
    """PSNR in dB and greatest absolute difference of all pixels outside the mask, less what its soft edge allows."""
    outside = mask == 0
    weight = soft[outside].double()
    allowed = torch.where(weight > 0, (weight * LEVELS - ROUNDING).ceil() + ROUNDING, 0.0) / LEVELS
    difference = ((original - edited)[outside].double().abs() - allowed[:, None]).clamp_min(0)
    if difference.numel() == 0:
        return math.nan, math.nan
    error = float(difference.square().mean())
    return (-10 * math.log10(error) if error else math.inf), float(difference.max())


def _seam(original: torch.Tensor, edited: torch.Tensor, soft: torch.Tensor, mask: torch.Tensor) -> float:
    constant = bool((mask == mask[0, 0]).all())
    return math.nan if constant else seam_score(original, edited, soft)
