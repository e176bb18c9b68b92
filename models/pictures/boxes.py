"""Boxes in the host's BOUNDING_BOX form: dicts of x, y, width, height in pixels, with optional label and score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from ..errors import BadInput

Box = dict[str, Any]


def per_image(value: Any, frames: int, what: str = "boxes") -> list[list[Box]]:
    """One list of boxes per image, from any of the shapes that the host's nodes produce.

    `value` is a box, a list of boxes of one image, or a list per image of lists of boxes. What describes one
    image is repeated for all `frames`. A box of 0 x 0 pixels, the host's sign for "no box", is left out.

    Raises:
        BadInput: another shape, another number of images, or a box without four finite numbers.
    """
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, (list, tuple)):
        raise BadInput(f"{what}: expected boxes as dicts of x, y, width, height, found {type(value).__name__}.")
    if not value or isinstance(value[0], dict):
        value = [value] * (1 if value else frames)
    if not all(isinstance(boxes, (list, tuple)) for boxes in value):
        found = next(boxes for boxes in value if not isinstance(boxes, (list, tuple)))
        raise BadInput(f"{what}: expected a list of boxes for each image, found {str(found)[:60]} among them.")
    images = [list(boxes) for boxes in value]
    if len(images) == 1:
        images *= frames
    if len(images) != frames:
        raise BadInput(
            f"{what}: {len(images)} lists of boxes for {frames} images; give one list per image, or one for all."
        )
    return [[_checked(box, what) for box in boxes if not _is_none(box)] for boxes in images]


def _is_none(box: Any) -> bool:
    return isinstance(box, dict) and box.get("width") == 0 and box.get("height") == 0


def _checked(box: Any, what: str) -> Box:
    try:
        values = [box[key] for key in ("x", "y", "width", "height")]
        numbers = [math.nan if isinstance(value, str) else float(value) for value in values]
    except (TypeError, KeyError, ValueError, OverflowError):
        raise BadInput(f"{what}: a box needs numbers for x, y, width and height, found {box!r}.") from None
    if not all(map(math.isfinite, numbers)) or numbers[2] <= 0 or numbers[3] <= 0:
        raise BadInput(f"{what}: a box needs finite numbers and a width and height above 0, found {box!r}.")
    if not _is_score(box.get("score")):
        raise BadInput(f"{what}: the score of a box is a finite number, found {box!r}.")
    if not isinstance(box.get("label"), (str, int, float, type(None))):
        raise BadInput(f"{what}: the label of a box is a text, found {box!r}.")
    return box


def _is_score(value: Any) -> bool:
    try:
        return value is None or (not isinstance(value, str) and math.isfinite(value))
    except (TypeError, ValueError, OverflowError):
        return False


def clipped(box: Box, height: int, width: int, what: str = "boxes") -> Box:
    """The part of the box inside an image of `height` x `width` pixels.

    Raises:
        BadInput: the box lies wholly outside.
    """
    left, top = max(box["x"], 0), max(box["y"], 0)
    right, bottom = min(box["x"] + box["width"], width), min(box["y"] + box["height"], height)
    if right <= left or bottom <= top:
        raise BadInput(
            f"{what}: the box at x {box['x']:g}, y {box['y']:g}, {box['width']:g} wide and {box['height']:g} high "
            f"lies outside the image of {width} x {height} pixels; move it inside."
        )
    return {**box, "x": left, "y": top, "width": right - left, "height": bottom - top}


def corners(boxes: Sequence[Box]) -> torch.Tensor:
    """float32 [N, 4]: left, top, right, bottom in pixels."""
    rows = [[b["x"], b["y"], b["x"] + b["width"], b["y"] + b["height"]] for b in boxes]
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)


def pairwise_iou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Intersection over union [N, M] of corner boxes [N, 4] and [M, 4]."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    overlap = (high - low).clamp(min=0).prod(dim=-1)
    areas = (a[:, 2:] - a[:, :2]).prod(dim=-1)[:, None] + (b[:, 2:] - b[:, :2]).prod(dim=-1)[None, :]
    return overlap / (areas - overlap).clamp(min=1e-12)


def suppress(corner_boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Greedy non-maximum suppression: indices kept of boxes [N, 4], best score first.

    A box is dropped when it overlaps a better one that was kept by more than `iou_threshold`. Equal scores keep
    their order, so that the result does not depend on the device's sort.
    """
    order = torch.argsort(scores, descending=True, stable=True)
    overlaps = pairwise_iou(corner_boxes[order], corner_boxes[order]) > iou_threshold
    dropped = torch.zeros(len(order), dtype=torch.bool, device=order.device)
    for i in range(len(order)):
        if not dropped[i]:
            dropped[i + 1 :] |= overlaps[i, i + 1 :]
    return order[~dropped]
