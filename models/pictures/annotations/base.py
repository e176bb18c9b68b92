"""What every format of annotations holds: images by name and size, and the objects on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import torch

from ...errors import BadInput
from ...values import PackedMask, SegmentedObject
from ..packed import pack

LONGEST: Final = 32768
"""Pixels of the longest side of an image that is believed to be one."""
FAR: Final = 1e6
"""Pixels beyond which an outline is cut."""


class Annotated(NamedTuple):
    """An image of height x width pixels and the objects on it; `frame` of the objects means nothing here.

    left_out: what else the file has on it, each by its kind.
    """

    name: str
    height: int
    width: int
    objects: tuple[SegmentedObject, ...]
    left_out: tuple[str, ...] = ()


def rectangle(x: float, y: float, width: float, height: float, tall: int, wide: int) -> PackedMask:
    """The pixels of an image of tall x wide whose centres a box holds; empty where it holds none."""
    left, right = (min(max(math.ceil(edge - 0.5), 0), wide) for edge in (x, x + width))
    top, bottom = (min(max(math.ceil(edge - 0.5), 0), tall) for edge in (y, y + height))
    if right <= left or bottom <= top:
        return pack(torch.zeros(1, 1, dtype=torch.bool))
    return pack(torch.ones(bottom - top, right - left, dtype=torch.bool))._replace(x=left, y=top)


def polygons(parts: Sequence[Sequence[tuple[float, float]]], tall: int, wide: int) -> PackedMask:
    """The pixels whose centres lie within outlines, each of at least three points x, y; a pixel's centre lies at its
    index plus 1/2. Where an outline crosses itself, what it surrounds twice is outside."""
    canvas = np.zeros((tall, wide), dtype=bool)
    for part in parts:
        if len(part) >= 3:
            _fill(canvas, np.clip(np.array(part, dtype=np.float64), -FAR, FAR))
    return pack(torch.from_numpy(canvas))


def _fill(canvas: np.ndarray, points: np.ndarray) -> None:
    """Set what lies within the outline [N, 2]: along each row of pixels every crossing changes sides."""
    (left, top), (right, bottom) = np.floor(points.min(axis=0)).astype(int), np.ceil(points.max(axis=0)).astype(int)
    rows, columns = (
        slice(min(max(first, 0), size), min(max(last, 0), size))
        for first, last, size in ((top, bottom, canvas.shape[0]), (left, right, canvas.shape[1]))
    )
    window = canvas[rows, columns]
    middles = np.arange(rows.start, rows.stop) + 0.5
    ends = np.roll(points, -1, axis=0)
    edge, row = np.nonzero((points[:, 1:] <= middles) != (ends[:, 1:] <= middles))
    begins, steps = points[edge], ends[edge] - points[edge]
    crossings = begins[:, 0] + (middles[row] - begins[:, 1]) * steps[:, 0] / steps[:, 1]
    column = np.clip(np.ceil(crossings - 0.5) - columns.start, 0, window.shape[1]).astype(int)
    changes = np.zeros((window.shape[0], window.shape[1] + 1), dtype=np.uint8)
    np.add.at(changes, (row, column), 1)
    window |= np.cumsum(changes[:, :-1], axis=1, dtype=np.uint8) % 2 == 1


def numbers(values: Any, count: int, where: str) -> list[float]:
    """`count` finite numbers of a file, or any even number of them for -1.

    Raises:
        BadInput: something else; says where.
    """
    try:
        found = [] if isinstance(values, (str, bytes)) else [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        found = []
    if not all(map(math.isfinite, found)) or (len(found) != count if count >= 0 else not found or len(found) % 2):
        wanted = f"{count} numbers" if count >= 0 else "pairs of numbers"
        raise BadInput(f"path: {where} holds {str(values)[:60]}, where {wanted} are expected; repair the file.")
    return found


def box_of(values: Any, where: str) -> tuple[float, float, float, float]:
    """x, y, width, height of a file.

    Raises:
        BadInput: not four numbers, or a negative size; says where.
    """
    x, y, width, height = numbers(values, 4, where)
    if width < 0 or height < 0:
        raise BadInput(f"path: {where} has a box of {width:g} x {height:g} pixels; repair the file.")
    return x, y, width, height


def score_of(value: Any, where: str) -> float:
    """A score of a file, 0..1; 1 where it has none.

    Raises:
        BadInput: something else; says where.
    """
    score = 1.0 if value is None else numbers([value], 1, where)[0]
    if not 0 <= score <= 1:
        raise BadInput(f"path: {where} has the score {score:g}; scores are from 0 to 1: repair the file.")
    return score


def field(entry: Any, name: str, layout: str) -> Any:
    """What an entry of a file has under a name.

    Raises:
        BadInput: it has nothing there, or is no such entry. layout: whose it is.
    """
    if not isinstance(entry, dict):
        raise BadInput(
            f"path: the file has {str(entry)[:40]!r} in the place of an entry of {layout}; choose another one."
        )
    if entry.get(name) is None:
        raise BadInput(f"path: the file lacks {name!r} of {layout}; choose another one.")
    return entry[name]


def entries(document: Any, name: str, layout: str) -> list[Any]:
    """The list that a document has under a name; see `field`."""
    found = field(document, name, layout)
    if not isinstance(found, list):
        raise BadInput(f"path: {name!r} of {layout} is no list in this file; choose another one.")
    return found


def side(entry: Any, name: str, layout: str) -> int:
    """A height or width in pixels; see `field`."""
    found = field(entry, name, layout)
    (pixels,) = numbers([found], 1, f"{name!r} of {layout}")
    if not 1 <= pixels <= LONGEST or pixels != int(pixels):
        raise BadInput(
            f"path: {name!r} of {layout} is {str(found)[:40]}, where 1 to {LONGEST} pixels are expected; repair the "
            "file."
        )
    return int(pixels)


def pairs(values: Sequence[float]) -> list[tuple[float, float]]:
    return list(zip(values[::2], values[1::2], strict=True))
