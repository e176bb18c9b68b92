"""YOLO's text files: one for each image, a line for each object, in shares of the image's size."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import BadInput
from ...values import SegmentedObject
from .base import Annotated, numbers, pairs, polygons, rectangle

CLASSES = "classes.txt"
"""Beside the texts: the names of the classes, one to a line, counted from 0."""


def labels_of(images: Sequence[Annotated]) -> list[str]:
    """The names of the classes, sorted; a line cannot be empty."""
    return sorted({" ".join(item.label.split()) or "object" for image in images for item in image.objects})


def to_text(image: Annotated, labels: Sequence[str]) -> str:
    """The boxes of one image: class, centre x, centre y, width and height in each line."""
    lines = []
    for item in image.objects:
        x, y, width, height = item.box
        shares = (x + width / 2) / image.width, (y + height / 2) / image.height, width / image.width
        values = (*shares, height / image.height)
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
        if not values[0].isdigit() or len(values) < 5 or (len(values) > 6 and len(values) % 2 == 0):
            raise BadInput(f"path: {where} is no class with a box or an outline: {line[:60]!r}; repair the file.")
        kind = int(values[0])
        label = labels[kind] if kind < len(labels) else str(kind)
        shares = numbers(values[1:], len(values) - 1, where)
        if len(shares) <= 5:
            wide, high = shares[2] * width, shares[3] * height
            box = (shares[0] * width - wide / 2, shares[1] * height - high / 2, wide, high)
            score = shares[4] if len(shares) == 5 else 1.0
            objects.append(SegmentedObject(0, box, label, score, rectangle(*box, height, width)))
            continue
        points = [(x * width, y * height) for x, y in pairs(shares)]
        left, top = min(x for x, _ in points), min(y for _, y in points)
        box = (left, top, max(x for x, _ in points) - left, max(y for _, y in points) - top)
        objects.append(SegmentedObject(0, box, label, 1.0, polygons([points], height, width)))
    return Annotated(name, height, width, tuple(objects))
