"""What every format of annotations holds: images by name and size, and the objects on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw

from ...errors import BadInput
from ...values import PackedMask, SegmentedObject
from ..packed import pack


class Annotated(NamedTuple):
    """An image of height x width pixels and the objects on it; `frame` of the objects means nothing here."""

    name: str
    height: int
    width: int
    objects: tuple[SegmentedObject, ...]


def rectangle(x: float, y: float, width: float, height: float, tall: int, wide: int) -> PackedMask:
    """The pixels of an image of tall x wide whose centres a box holds; empty where it holds none."""
    left, right = (min(max(math.ceil(edge - 0.5), 0), wide) for edge in (x, x + width))
    top, bottom = (min(max(math.ceil(edge - 0.5), 0), tall) for edge in (y, y + height))
    if right <= left or bottom <= top:
        return pack(torch.zeros(1, 1, dtype=torch.bool))
    return pack(torch.ones(bottom - top, right - left, dtype=torch.bool))._replace(x=left, y=top)


def polygons(parts: Sequence[Sequence[tuple[float, float]]], tall: int, wide: int) -> PackedMask:
    """The pixels within outlines, each of at least three points x, y; a pixel's centre lies at its index plus 1/2."""
    canvas = Image.new("1", (wide, tall))
    pen = ImageDraw.Draw(canvas)
    for part in parts:
        if len(part) >= 3:
            pen.polygon([(x - 0.5, y - 0.5) for x, y in part], fill=1)
    return pack(torch.from_numpy(np.array(canvas, dtype=bool)))


def numbers(values: Any, count: int, where: str) -> list[float]:
    """`count` finite numbers of a file, or any even number of them for -1.

    Raises:
        BadInput: something else; says where.
    """
    try:
        found = [float(value) for value in values]
    except (TypeError, ValueError):
        found = []
    if not all(map(math.isfinite, found)) or (len(found) != count if count >= 0 else not found or len(found) % 2):
        wanted = f"{count} numbers" if count >= 0 else "pairs of numbers"
        raise BadInput(f"path: {where} holds {str(values)[:60]}, where {wanted} are expected; repair the file.")
    return found


def pairs(values: Sequence[float]) -> list[tuple[float, float]]:
    return list(zip(values[::2], values[1::2], strict=True))
