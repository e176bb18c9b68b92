"""Which objects of the frames of a video are the same: each keeps a number, by where it was and what it looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from statistics import median_low
from typing import Final

import torch
import torch.nn.functional as F

from ..values import Objects, SegmentedObject
from .boxes import pairwise_iou
from .labels import bare

LEAST_LIKENESS: Final = 0.5
"""How alike an object must be to one that it overlaps too little to be that one."""
LEAST_DIFFERENCE: Final = 0.005
"""1 - cosine by which one object may differ from itself: where all look the same, that is no difference."""
KEPT_LOOKS: Final = 0.9
"""Share of what is known of an object's looks that stays with each new frame, in which it may be half hidden."""


@dataclass
class _Track:
    """What is known of one object: its number among those of its label, its last box, the frame of that, its looks."""

    number: int
    label: str
    box: tuple[float, float, float, float]
    frame: int
    looks: torch.Tensor | None


def track(
    objects: Objects,
    min_iou: float = 0.3,
    max_gap: int = 5,
    looks: Sequence[torch.Tensor] | None = None,
    appearance: float = 0.5,
) -> Objects:
    """The same objects, each labelled "cat 1", "cat 2": the same number in every frame where it is the same object.

    Frame by frame, objects of one label are matched with those that were seen before so that the sum of the overlaps
    (IoU of boxes) is the largest; a pair must overlap by at least `min_iou`. What is matched with nothing is new. What
    is not seen for more than `max_gap` frames is forgotten. From frame to frame only boxes and looks are kept.

    looks: of each object a vector [C] of length 1, whose cosine tells how alike two are. Then a pair gains
    (1 - appearance) * IoU + appearance * likeness, and may also be one that overlaps less but is alike by
    `LEAST_LIKENESS`; one that was away and looks wholly different is another, wherever it is. Likeness is
    1 - (1 - cosine) / d, at least 0, where d is the median of 1 - cosine over all pairs of objects that share a frame,
    which are different ones; where none do, it is the cosine. What a track looks like is a running mean.
    """
    tracks: list[_Track] = []
    counts: dict[str, int] = {}
    named: list[SegmentedObject] = []
    between = _usual_difference(objects, looks) if looks else 1.0
    vectors: Sequence[torch.Tensor | None] = looks or [None] * len(objects.objects)
    for frame in range(objects.frames):
        tracks = [known for known in tracks if frame - known.frame <= max_gap + 1]
        here = [(each, look) for each, look in zip(objects.objects, vectors, strict=True) if each.frame == frame]
        found = [_Track(0, bare(each.label), each.box, frame, look) for each, look in here]
        owners: list[_Track | None] = [None] * len(found)
        for label in dict.fromkeys(each.label for each in found):
            rows = [i for i, each in enumerate(found) if each.label == label]
            known = [each for each in tracks if each.label == label]
            for row, column in _pairs([found[i] for i in rows], known, min_iou, appearance, between):
                owners[rows[row]] = known[column]
        for (each, _), new, owner in zip(here, found, owners, strict=True):
            if owner is None:
                counts[new.label] = counts.get(new.label, 0) + 1
                owner, new.number = new, counts[new.label]
                tracks.append(new)
            owner.box, owner.frame, owner.looks = new.box, frame, _mixed(owner.looks, new.looks)
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
    found: Sequence[_Track], known: Sequence[_Track], least: float, appearance: float, between: float
) -> list[tuple[int, int]]:
    """Pairs of what may be the same, of the largest sum of gains; see `track`."""
    if not found or not known:
        return []
    gains = pairwise_iou(_corners([each.box for each in found]), _corners([each.box for each in known])).double()
    allowed = gains >= least
    new, old = ([each.looks for each in tracks if each.looks is not None] for tracks in (found, known))
    if new and old:
        likeness = (1 - (1 - torch.stack(new) @ torch.stack(old).T) / between).clamp(0, 1)
        stayed = torch.tensor([each.frame == found[0].frame - 1 for each in known])
        allowed = allowed & (stayed | (likeness > 0)) | (likeness >= LEAST_LIKENESS)
        gains = (1 - appearance) * gains + appearance * likeness
    gains = torch.where(allowed, gains, torch.zeros_like(gains))
    return [pair for pair in assign(gains.tolist()) if gains[pair] > 0]


def _usual_difference(objects: Objects, looks: Sequence[torch.Tensor]) -> float:
    """The median of 1 - cosine over pairs of objects that share a frame; 1 where none do."""
    frames = groupby(zip(objects.objects, looks, strict=True), key=lambda pair: pair[0].frame)
    together = [[look for _, look in frame] for _, frame in frames]
    differences = [1 - float(one @ other) for frame in together for one, other in combinations(frame, 2)]
    return max(median_low(differences), LEAST_DIFFERENCE) if differences else 1.0


def _mixed(known: torch.Tensor | None, new: torch.Tensor | None) -> torch.Tensor | None:
    if known is None or new is None:
        return new
    return F.normalize(KEPT_LOOKS * known + (1 - KEPT_LOOKS) * new, dim=0)


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
