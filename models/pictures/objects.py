"""Segmented objects as a list to choose from, and as masks."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

import torch

from ..errors import BadInput
from ..values import Objects, SegmentedObject
from .labels import bare
from .packed import area, paint


def select(
    objects: Objects,
    labels: Collection[str] = (),
    min_score: float = 0.0,
    max_score: float = 1.0,
    min_area: int = 0,
    max_area: int | None = None,
    indices: Sequence[range] = (),
) -> Objects:
    """The objects that pass every filter, in their order; all frames stay, with or without objects.

    labels: names to keep, compared without article and case; empty keeps all. Scores 0..1 and areas in mask pixels are
    inclusive bounds; a `max_area` of None is none. indices: positions to keep among the objects of each frame as they
    come in, counted from 0; empty keeps all.
    """
    names = {bare(label) for label in labels}
    largest = objects.height * objects.width if max_area is None else max_area
    kept = (
        found
        for index, found in numbered(objects)
        if (not indices or any(index in span for span in indices))
        and (not names or bare(found.label) in names)
        and min_score <= found.score <= max_score
        and min_area <= area(found.mask) <= largest
    )
    return objects._replace(objects=tuple(kept))


def numbered(objects: Objects) -> Iterator[tuple[int, SegmentedObject]]:
    """Each object with its position among the objects of its frame."""
    counts = [0] * objects.frames
    for found in objects.objects:
        yield counts[found.frame], found
        counts[found.frame] += 1


def read_labels(text: str) -> tuple[str, ...]:
    """Labels separated by commas or lines."""
    return tuple(label.strip() for label in re.split(r"[,\n]", text) if label.strip())


def read_indices(text: str) -> tuple[range, ...]:
    """Positions such as "0, 2-4" (both ends count).

    Raises:
        BadInput: anything else.
    """
    spans = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = re.fullmatch(r"(\d{1,18})(?:\s*-\s*(\d{1,18}))?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first:
            raise BadInput(f'indices: expected numbers and rising ranges such as "0, 2-4", found {part!r}.')
        spans.append(range(first, last + 1))
    return tuple(spans)


def boxes(objects: Objects) -> list[list[dict[str, float | str]]]:
    """The boxes of every frame's objects as BOUNDING_BOX: x, y, width, height in pixels, label, score."""
    frames: list[list[dict[str, float | str]]] = [[] for _ in range(objects.frames)]
    for found in objects.objects:
        x, y, width, height = found.box
        frames[found.frame].append(
            {"x": x, "y": y, "width": width, "height": height, "label": found.label, "score": found.score}
        )
    return frames


def report(objects: Objects) -> str:
    """One line per object: image, index among its objects, label, score, area and place. Or that there is none."""
    lines = []
    for index, found in numbered(objects):
        x, y, width, height = (round(value) for value in found.box)
        lines.append(
            f"image {found.frame}, object {index}: {found.label or 'unnamed'}, score {found.score:.2f}, "
            f"area {area(found.mask)} px, box {width} x {height} at {x}, {y}"
        )
    return "\n".join(lines) or f"no objects in {objects.frames} image{'' if objects.frames == 1 else 's'}"


def report_selection(kept: Objects, given: Objects) -> str:
    """`report` of the objects that were kept; where none was, also of those that were to choose from."""
    if kept.objects or not given.objects:
        return report(kept)
    return f"no object passes the filters; there were:\n{report(given)}"


def union(objects: Objects) -> torch.Tensor:
    """For each frame the union of its objects: float32 [frames, H, W], 0 or 1."""
    canvas = torch.zeros(objects.frames, objects.height, objects.width, dtype=torch.bool)
    for found in objects.objects:
        paint(canvas[found.frame], found.mask)
    return canvas.float()


def separate(objects: Objects) -> tuple[torch.Tensor, list[int]]:
    """One mask per object, float32 [N, H, W], 0 or 1, and the N indices of their frames.

    Without any object it is one empty mask, of frame 0: a batch of no masks would stop the host's nodes.
    """
    canvas = torch.zeros(max(1, len(objects.objects)), objects.height, objects.width, dtype=torch.bool)
    for mask, found in zip(canvas, objects.objects, strict=False):
        paint(mask, found.mask)
    return canvas.float(), [found.frame for found in objects.objects] or [0]
