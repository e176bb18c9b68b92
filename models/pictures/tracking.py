"""Which objects of the frames of a video are the same: each keeps a number, by where it was before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..values import Objects, SegmentedObject
from .boxes import pairwise_iou
from .labels import bare


@dataclass
class _Track:
    """What is known of one object: its number among those of its label, its last box, and the frame of that."""

    number: int
    label: str
    box: tuple[float, float, float, float]
    frame: int


def track(objects: Objects, min_iou: float = 0.3, max_gap: int = 5) -> Objects:
    """The same objects, each labelled "cat 1", "cat 2": the same number in every frame where it is the same object.

    Frame by frame, objects of one label are matched with those that were seen before so that the sum of the overlaps
    (IoU of boxes) is the largest; a pair must overlap by at least `min_iou`. What is matched with nothing is new. What
    is not seen for more than `max_gap` frames is forgotten. Only boxes are kept from frame to frame.
    """
    tracks: list[_Track] = []
    counts: dict[str, int] = {}
    named: list[SegmentedObject] = []
    for frame in range(objects.frames):
        tracks = [known for known in tracks if frame - known.frame <= max_gap + 1]
        found = [each for each in objects.objects if each.frame == frame]
        owners: list[_Track | None] = [None] * len(found)
        for label in dict.fromkeys(bare(each.label) for each in found):
            rows = [i for i, each in enumerate(found) if bare(each.label) == label]
            known = [each for each in tracks if each.label == label]
            for row, column in _pairs([found[i].box for i in rows], [each.box for each in known], min_iou):
                owners[rows[row]] = known[column]
        for each, owner in zip(found, owners, strict=True):
            label = bare(each.label)
            if owner is None:
                counts[label] = counts.get(label, 0) + 1
                owner = _Track(counts[label], label, each.box, frame)
                tracks.append(owner)
            owner.box, owner.frame = each.box, frame
            named.append(each._replace(label=f"{each.label or 'object'} {owner.number}"))
    return objects._replace(objects=tuple(named))


def report(objects: Objects) -> str:
    """One line for each number that `track` gave: in which frames it is."""
    seen: dict[str, list[int]] = {}
    for each in objects.objects:
        seen.setdefault(each.label, []).append(each.frame)
    lines = [
        f"{label}: {len(frames)} of {objects.frames} images, {frames[0]} to {frames[-1]}"
        for label, frames in seen.items()
    ]
    return "\n".join(lines) or f"no objects in {objects.frames} image{'' if objects.frames == 1 else 's'}"


def _pairs(
    found: Sequence[tuple[float, float, float, float]], known: Sequence[tuple[float, float, float, float]], least: float
) -> list[tuple[int, int]]:
    """Pairs of boxes x, y, width, height that overlap by `least` or more, of the largest sum of overlaps."""
    if not found or not known:
        return []
    overlaps = pairwise_iou(_corners(found), _corners(known)).double()
    overlaps = torch.where(overlaps >= least, overlaps, torch.zeros_like(overlaps))
    return [pair for pair in assign(overlaps.tolist()) if overlaps[pair] > 0]


def _corners(boxes: Sequence[tuple[float, float, float, float]]) -> torch.Tensor:
    return torch.tensor([[x, y, x + width, y + height] for x, y, width, height in boxes], dtype=torch.float32)


def assign(gains: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Pairs of a row and a column, none twice and as many as there can be, of the largest sum of gains [R][C]; by rows.

    The Hungarian method (Kuhn 1955) with shortest paths: one row after the other is added to the best assignment of
    those before it. Rows and columns have prices, under which no pair gains more than it costs.
    """
    if gains and len(gains) > len(gains[0]):
        return sorted((row, column) for column, row in assign([list(each) for each in zip(*gains, strict=True)]))
    rows, columns = len(gains), len(gains[0]) if gains else 0
    prices, offers = [0.0] * columns, [0.0] * rows
    owner = [-1] * columns
    for first in range(rows):
        distance, before, done = [float("inf")] * columns, [-1] * columns, [False] * columns
        row, column, length = first, -1, 0.0
        while True:
            for other in range(columns):
                through = length - gains[row][other] - offers[row] - prices[other]
                if not done[other] and through < distance[other]:
                    distance[other], before[other] = through, column
            column = min((other for other in range(columns) if not done[other]), key=distance.__getitem__)
            length, done[column] = distance[column], True
            if owner[column] < 0:
                break
            row = owner[column]
        offers[first] += length
        for other in range(columns):
            if done[other] and other != column:
                offers[owner[other]] += length - distance[other]
                prices[other] -= length - distance[other]
        while column >= 0:
            owner[column] = first if before[column] < 0 else owner[before[column]]
            column = before[column]
    return sorted((row, column) for column, row in enumerate(owner) if row >= 0)
