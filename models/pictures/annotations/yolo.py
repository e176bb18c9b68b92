"""YOLO's text files: one for each image, a line for each object, in shares of the image's size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ...errors import BadInput
from ...values import SegmentedObject
from .base import Annotated, box_of, numbers, pairs, polygons, rectangle, score_of

CLASSES: Final = "classes.txt"
"""Beside the texts: the names of the classes, one to a line, counted from 0."""
DIGITS: Final = 9
"""Of the largest number of a class."""
BEYOND: Final = 0.5
"""Share of the image by which objects may reach beyond its borders."""


def labels_of(images: Sequence[Annotated]) -> list[str]:
    """The names of the classes, sorted; a line cannot be empty."""
    return sorted({" ".join(item.label.split()) or "object" for image in images for item in image.objects})


def to_text(image: Annotated, labels: Sequence[str]) -> str:
    """The boxes of one image, as far as they lie in it: class, centre x, centre y, width and height in each line."""
    lines = []
    for item in image.objects:
        (left, right), (top, bottom) = (
            [min(max(edge / length, 0.0), 1.0) for edge in (first, first + size)]
            for first, size, length in zip(item.box[:2], item.box[2:], (image.width, image.height), strict=True)
        )
        values = ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
        number = labels.index(" ".join(item.label.split()) or "object")
        lines.append(" ".join([str(number), *(f"{value:.6f}" for value in values)]))
    return "".join(f"{line}\n" for line in lines)


def read(text: str, name: str, labels: Sequence[str], height: int, width: int) -> Annotated:
    """The objects of one text: boxes of four numbers and perhaps a score, or outlines of at least three points.

    labels: of the classes; one that has none is called by its number.

    Raises:
        BadInput: a line that is neither; says which.
    """
    objects = []
    for number, line in enumerate(text.splitlines(), 1):
        values = line.split()
        if not values:
            continue
        where = f"line {number} of {name}"
        is_class = values[0].isdecimal() and len(values[0]) <= DIGITS
        if not is_class or len(values) < 5 or (len(values) > 6 and len(values) % 2 == 0):
            raise BadInput(f"path: {where} is no class with a box or an outline: {line[:60]!r}; repair the file.")
        kind = int(values[0])
        label = (labels[kind] if kind < len(labels) else "") or str(kind)
        shares = numbers(values[1:], len(values) - 1, where)
        if not all(-BEYOND <= share <= 1 + BEYOND for share in (shares[:4] if len(shares) <= 5 else shares)):
            raise BadInput(
                f"path: {where} lies outside of the image: {line[:60]!r}; YOLO's numbers are shares of its size, from "
                "0 to 1: repair the file."
            )
        if len(shares) <= 5:
            wide, high = shares[2] * width, shares[3] * height
            box = box_of((shares[0] * width - wide / 2, shares[1] * height - high / 2, wide, high), where)
            score = score_of(shares[4] if len(shares) == 5 else None, where)
            objects.append(SegmentedObject(0, box, label, score, rectangle(*box, height, width)))
            continue
        points = [(x * width, y * height) for x, y in pairs(shares)]
        left, top = min(x for x, _ in points), min(y for _, y in points)
        box = (left, top, max(x for x, _ in points) - left, max(y for _, y in points) - top)
        objects.append(SegmentedObject(0, box, label, 1.0, polygons([points], height, width)))
    return Annotated(name, height, width, tuple(objects))
