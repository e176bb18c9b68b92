"""Boxes and points, as users and other nodes give them, to one prompt per object."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from ..errors import BadInput
from ..pictures.boxes import Box, clipped, corners, per_image
from ..texts import counted


class Point(NamedTuple):
    """A pixel position; `label` 1 says that it is on the object, 0 that it is not."""

    x: float
    y: float
    label: int


class Prompt(NamedTuple):
    """What asks for one object of image `frame`: a box (clipped to the image), points, or both."""

    frame: int
    box: Box | None
    points: tuple[Point, ...]


def read_boxes(
    frames: int, height: int, width: int, boxes: Any = None, drawn_boxes: str = ""
) -> list[list[Box]] | None:
    """One list per image of the boxes that are given and, after them, those that are drawn; None without either.

    boxes: any of the BOUNDING_BOX shapes, or None.
    drawn_boxes: JSON [{"x": .., "y": .., "width": .., "height": ..}, ...] in pixels, for all images, or a list of such
        lists, one per image; empty text for none.

    Raises:
        BadInput: text that is not such JSON; lists for another number of images; a drawn box outside its image.
    """
    drawn = _drawn(drawn_boxes, frames, height, width)
    if boxes is None:
        return drawn if any(drawn) else None
    return [given + more for given, more in zip(per_image(boxes, frames), drawn, strict=True)]


def read_prompts(
    frames: int, height: int, width: int, boxes: Any = None, positive_points: str = "", negative_points: str = ""
) -> tuple[Prompt, ...]:
    """Prompts for a batch of `frames` images of height x width pixels, in frame order.

    boxes: any of the BOUNDING_BOX shapes; None when there are none at all. Each box asks for one object; an image
        with an empty list gets no object.
    positive_points, negative_points: JSON [{"x": .., "y": ..}, ...] in pixels, for all images, or a list of such
        lists, one per image; empty text for none.

    Without boxes, the points of an image ask for one object together. With one box in the image they refine it; with
    several, each point refines the smallest box around it.

    Raises:
        BadInput: nothing that asks for an object; a box or a point outside the image; a point in none of several
            boxes; text that is not such JSON; lists for another number of images.
    """
    positive = _points(positive_points, frames, height, width, "positive_points", 1)
    negative = _points(negative_points, frames, height, width, "negative_points", 0)
    if boxes is None:
        return _from_points(positive, negative)
    prompts = []
    for frame, image_boxes in enumerate(per_image(boxes, frames)):
        inside = [clipped(box, height, width) for box in image_boxes]
        points = positive[frame] + negative[frame]
        prompts += [Prompt(frame, box, own) for box, own in zip(inside, _shared(points, inside), strict=True)]
    return tuple(prompts)


class Coordinates(NamedTuple):
    """N prompts of one image, alike, as a network takes them: in pixels of its input.

    points: float32 [N, P, 2], x and y. labels: int64 [N, P], 1 or 0. boxes: float32 [N, 4], x and y of two corners;
    None where the prompts have no boxes.
    """

    points: torch.Tensor
    labels: torch.Tensor
    boxes: torch.Tensor | None


def coordinates(
    prompts: Sequence[Prompt], height: int, width: int, input_size: tuple[int, int], device: torch.device
) -> Coordinates:
    """Prompts of an image of height x width, which has the size (height, width) `input_size` in the network's input.

    They all have boxes or none has, and all have the same number of points.
    """
    scale = torch.tensor([input_size[1] / width, input_size[0] / height], dtype=torch.float64)
    positions = torch.tensor([[(point.x, point.y) for point in prompt.points] for prompt in prompts])
    labels = torch.tensor([[point.label for point in prompt.points] for prompt in prompts], dtype=torch.long)
    given = [prompt.box for prompt in prompts if prompt.box is not None]
    boxes = (corners(given) * scale.repeat(2)).float().to(device) if given else None
    points = (positions.reshape(*labels.shape, 2) * scale).float()
    return Coordinates(points.to(device), labels.to(device), boxes)


def _from_points(positive: list[tuple[Point, ...]], negative: list[tuple[Point, ...]]) -> tuple[Prompt, ...]:
    for frame, (on, off) in enumerate(zip(positive, negative, strict=True)):
        if off and not on:
            raise BadInput(
                f"positive_points: image {frame} has {counted(len(off), 'negative point')}, but no positive point "
                "and no box says where its object is; add one."
            )
    prompts = tuple(Prompt(i, None, on + off) for i, (on, off) in enumerate(zip(positive, negative, strict=True)) if on)
    if not prompts:
        raise BadInput("boxes: neither boxes nor points are given; connect boxes, or fill in positive_points.")
    return prompts


def _shared(points: Sequence[Point], boxes: Sequence[Box]) -> list[tuple[Point, ...]]:
    """The points that refine each box."""
    if len(boxes) <= 1:
        return [tuple(points) for _ in boxes]
    owners = [_smallest_around(point, boxes) for point in points]
    return [tuple(p for p, owner in zip(points, owners, strict=True) if owner == i) for i in range(len(boxes))]


def _smallest_around(point: Point, boxes: Sequence[Box]) -> int:
    around = [
        (box["width"] * box["height"], i)
        for i, box in enumerate(boxes)
        if box["x"] <= point.x <= box["x"] + box["width"] and box["y"] <= point.y <= box["y"] + box["height"]
    ]
    if not around:
        kind = "positive_points" if point.label else "negative_points"
        raise BadInput(
            f"{kind}: the point at x {point.x:g}, y {point.y:g} lies in none of the image's {len(boxes)} boxes; "
            "move it into the box that it refines."
        )
    return min(around)[1]


def _drawn(text: str, frames: int, height: int, width: int) -> list[list[Box]]:
    """The drawn boxes of each image."""
    if not text.strip():
        return [[] for _ in range(frames)]
    what = "drawn_boxes"
    value = _json_list(text, what, '[{"x": 12, "y": 34, "width": 56, "height": 78}]')
    return [[clipped(box, height, width, what) for box in image] for image in per_image(value, frames, what)]


def _json_list(text: str, what: str, example: str) -> list[Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{what}: expected JSON such as {example}, found {_short(text)} ({error}).") from None
    if not isinstance(value, list):
        raise BadInput(f"{what}: expected a list such as {example}, found {_short(text)}.")
    return value


def _points(text: str, frames: int, height: int, width: int, what: str, label: int) -> list[tuple[Point, ...]]:
    """The points of each image."""
    if not text.strip():
        return [()] * frames
    value = _json_list(text, what, '[{"x": 12, "y": 34}]')
    images = value if value and isinstance(value[0], list) else [value]
    if len(images) == 1:
        images = images * frames
    if len(images) != frames:
        raise BadInput(
            f"{what}: {len(images)} lists of points for {frames} images; give one per image, or one for all."
        )
    return [tuple(_point(entry, height, width, what, label) for entry in _entries(image, what)) for image in images]


def _entries(image: Any, what: str) -> list[Any]:
    if not isinstance(image, list):
        raise BadInput(f"{what}: expected a list of points for each image, found {_short(json.dumps(image))}.")
    return image


def _point(entry: Any, height: int, width: int, what: str, label: int) -> Point:
    try:
        x, y = float(entry["x"]), float(entry["y"])
    except (TypeError, KeyError, ValueError, OverflowError):
        raise BadInput(f"{what}: a point needs numbers for x and y, found {_short(json.dumps(entry))}.") from None
    if not (math.isfinite(x) and math.isfinite(y) and 0 <= x <= width and 0 <= y <= height):
        raise BadInput(f"{what}: the point at x {x:g}, y {y:g} lies outside the image of {width} x {height} pixels.")
    return Point(x, y, label)


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
