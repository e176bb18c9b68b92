"""LabelMe's JSON: one file for each image, a shape for each object."""

from __future__ import annotations

import base64
import binascii
import io
import json
from typing import Any

import numpy as np
import torch
from PIL import Image

from ...errors import BadInput
from ...values import PackedMask, SegmentedObject
from ..packed import pack, unpack
from .base import Annotated, entries, field, numbers, polygons, rectangle, side

VERSION = "5.5.0"
"""Of the layout: from 5.3 on shapes may be masks."""
LAYOUT = "LabelMe's files"


def to_json(image: Annotated) -> str:
    """One image: its objects as masks, or as rectangles where they have no pixel. The score is the description."""
    shapes = []
    for item in image.objects:
        mask = item.mask
        shape: dict[str, Any] = {"label": item.label or "object", "group_id": None, "description": f"{item.score:.6f}"}
        if mask.width:
            ends = [[mask.x, mask.y], [mask.x + mask.width - 1, mask.y + len(mask.bits) - 1]]
            shape |= {"points": ends, "shape_type": "mask", "mask": _png(mask)}
        else:
            x, y, width, height = item.box
            shape |= {"points": [[x, y], [x + width, y + height]], "shape_type": "rectangle", "mask": None}
        shapes.append({**shape, "flags": {}})
    document = {
        "version": VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": image.name,
        "imageData": None,
        "imageHeight": image.height,
        "imageWidth": image.width,
    }
    return json.dumps(document, indent=2)


def read(document: Any) -> Annotated:
    """The objects of one file: masks, rectangles, turned ones too, polygons, circles; points and lines have no pixels
    and are left out.

    Raises:
        BadInput: it is no such file, or something in it is broken.
    """
    name = str(field(document, "imagePath", LAYOUT))
    height, width = side(document, "imageHeight", LAYOUT), side(document, "imageWidth", LAYOUT)
    objects, left_out = [], []
    for number, shape in enumerate(entries(document, "shapes", LAYOUT)):
        where = f"shape {number} of {name}"
        label = shape.get("label") if isinstance(shape, dict) else field(shape, "label", LAYOUT)
        kind = shape.get("shape_type") or "polygon"
        if kind not in ("mask", "rectangle", "rotation", "polygon", "circle"):
            left_out.append(str(kind))
            continue
        points = [(x, y) for x, y in (numbers(point, 2, where) for point in entries(shape, "points", LAYOUT))]
        if len(points) < 2:
            raise BadInput(f"path: {where} has {len(points)} of the points that a {kind} has; repair the file.")
        (x, y), (end_x, end_y) = points[:2]
        if kind == "circle":
            radius = float(np.hypot(end_x - x, end_y - y))
            turns = np.linspace(0, 2 * np.pi, 360, endpoint=False)
            points = [(x + radius * float(np.cos(turn)), y + radius * float(np.sin(turn))) for turn in turns]
        left, top = min(x for x, _ in points), min(y for _, y in points)
        box = (left, top, max(x for x, _ in points) - left, max(y for _, y in points) - top)
        if kind == "mask":
            box = (left, top, box[2] + 1, box[3] + 1)
            mask = _mask(shape.get("mask"), box, height, width, where)
        elif kind == "rectangle":
            mask = rectangle(*box, height, width)
        else:
            mask = polygons([points], height, width)
        label = "" if label is None else str(label)
        objects.append(SegmentedObject(0, box, label, _score(shape.get("description")), mask))
    return Annotated(name, height, width, tuple(objects), tuple(left_out))


def _score(description: Any) -> float:
    """What `to_json` wrote there, and 1 for a user's own words."""
    try:
        score = float(description)
    except (TypeError, ValueError):
        return 1.0
    return score if 0 <= score <= 1 else 1.0


def _png(mask: PackedMask) -> str:
    file = io.BytesIO()
    Image.fromarray(unpack(mask).numpy().astype(np.uint8) * 255).convert("1").save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def _mask(encoded: Any, box: tuple[float, float, float, float], height: int, width: int, where: str) -> PackedMask:
    left, top, wide, high = (round(value) for value in box)
    try:
        with Image.open(io.BytesIO(base64.b64decode(encoded, validate=True)), formats=["PNG"]) as picture:
            if picture.size != (wide, high) or left < 0 or top < 0 or left + wide > width or top + high > height:
                raise ValueError
            pixels = np.array(picture.convert("L")) > 0
    except (TypeError, ValueError, OSError, SyntaxError, binascii.Error, Image.DecompressionBombError):
        raise BadInput(
            f"path: {where} has a mask that is broken or does not fit its corners; repair the file."
        ) from None
    mask = pack(torch.from_numpy(pixels))
    return mask._replace(x=mask.x + left, y=mask.y + top)
