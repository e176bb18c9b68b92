"""Whether a picture shows what its prompt asks for: GenEval's rules (Ghosh et al. 2023, arXiv:2310.11513).

Of every class the surest objects count, as many as are asked for. Each must have its colour, and its place beside each
of the objects that it is relative to. What is excluded must not be there as often as is said.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from ...detection.selection import select
from ...pictures.boxes import Box
from ...values import Detections
from .records import MOST, RELATIONS, Record, Wanted

THRESHOLD: Final = 0.3
COUNTING_THRESHOLD: Final = 0.9
MARGIN: Final = 0.1
"""The published thresholds: of a box's score, of the same where objects are counted, and of positions as a share of
both boxes' sizes."""
NMS: Final = 0.6
"""As Select Detections suppresses overlaps. GenEval leaves it to its detector, which has none to suppress."""
ASIDE: Final = 0.5
"""How far from the axis a direction may point, as a share of the distance of the centres."""
COUNTING: Final = "counting"

Objects = Mapping[str, Sequence[Box]]
"""Of one picture: class -> its boxes, the surest first."""
ColourOf = Callable[[str, int], str]
"""The colour of an object of the picture: its class, and its place among those."""


class Limits(NamedTuple):
    """See the constants."""

    threshold: float = THRESHOLD
    counting_threshold: float = COUNTING_THRESHOLD
    nms: float = NMS
    margin: float = MARGIN
    most: int = MOST


class Question(NamedTuple):
    """What a detector is asked of some pictures. frames: their numbers. threshold: from which score boxes count."""

    prompt: str
    frames: tuple[int, ...]
    threshold: float


@dataclass(frozen=True)
class Verdict:
    """Of one picture. reasons: why it is wrong; none where it is right. objects: what was found."""

    record: Record
    reasons: tuple[str, ...]
    objects: Objects

    @property
    def right(self) -> bool:
        return not self.reasons


def questions(records: Sequence[Record], limits: Limits, also: Sequence[str] = ()) -> list[Question]:
    """What to ask of pictures, one for each record: all classes of a record at once, so that what is seen counts under
    the likelier name. also: phrases that are asked for beside them, to give what is none of them a name of its own."""
    grouped: dict[tuple[tuple[str, ...], float], list[int]] = {}
    for frame, record in enumerate(records):
        named = {phrase.casefold() for phrase in record.classes}
        asked = (*record.classes, *(phrase for phrase in also if phrase.casefold() not in named))
        threshold = limits.counting_threshold if record.tag == COUNTING else limits.threshold
        grouped.setdefault((asked, threshold), []).append(frame)
    return [Question(" . ".join(asked), tuple(frames), threshold) for (asked, threshold), frames in grouped.items()]


def objects_of(detections: Detections, threshold: float, limits: Limits) -> list[dict[str, list[Box]]]:
    """Of each picture: phrase, as the prompt wrote it -> its boxes, the surest first."""
    selection = select(detections, box_threshold=threshold, text_threshold=0.0, nms_threshold=limits.nms)
    found: list[dict[str, list[Box]]] = []
    for boxes in selection.boxes:
        of_class: dict[str, list[Box]] = {}
        for box in boxes:
            of_class.setdefault(str(box["label"]), []).append(box)
        found.append({name: group[: limits.most] for name, group in of_class.items()})
    return found


def of_class(objects: Objects, name: str) -> Sequence[Box]:
    """The objects of a class, whatever its case."""
    return next((boxes for label, boxes in objects.items() if label.casefold() == name.casefold()), ())


def to_colour(record: Record, objects: Objects) -> list[tuple[str, int]]:
    """Class and place of the objects whose colours decide: where there are enough of them."""
    return list(
        dict.fromkeys(
            (wanted.name, place)
            for wanted in record.include
            if wanted.colour and len(of_class(objects, wanted.name)) >= wanted.count
            for place in range(wanted.count)
        )
    )


def judge(record: Record, objects: Objects, colour_of: ColourOf, margin: float = MARGIN) -> Verdict:
    """The verdict on one picture. colour_of: is asked for what `to_colour` names, and nothing else."""
    reasons: list[str] = []
    groups: list[Sequence[Box] | None] = []
    for wanted in record.include:
        boxes = of_class(objects, wanted.name)
        reason = (
            _enough(wanted, boxes) or _coloured(wanted, colour_of) or _placed(wanted, boxes, record, groups, margin)
        )
        reasons += [reason] if reason else []
        groups.append(None if reason else boxes[: wanted.count])
    for unwanted in record.exclude:
        found = len(of_class(objects, unwanted.name))
        if found >= unwanted.count:
            reasons.append(f"expected fewer than {unwanted.count} {unwanted.name}, found {found}")
    return Verdict(record, tuple(reasons), objects)


def _enough(wanted: Wanted, boxes: Sequence[Box]) -> str:
    if len(boxes) >= wanted.count:
        return ""
    return f"expected {wanted.count} {wanted.name}, found {len(boxes) or 'none'}"


def _coloured(wanted: Wanted, colour_of: ColourOf) -> str:
    if not wanted.colour:
        return ""
    found = [colour_of(wanted.name, place) for place in range(wanted.count)]
    if all(colour == wanted.colour for colour in found):
        return ""
    return f"expected {wanted.count} {wanted.colour} {wanted.name}, found {', '.join(found)}"


def _placed(
    wanted: Wanted, boxes: Sequence[Box], record: Record, groups: Sequence[Sequence[Box] | None], margin: float
) -> str:
    if wanted.target is None:
        return ""
    target = record.include[wanted.target].name
    others = groups[wanted.target]
    if others is None:
        return f"expected {wanted.name} {wanted.relation} {target}, which is not as it should be"
    for box in boxes[: wanted.count]:
        for other in others:
            found = relations(box, other, margin)
            if wanted.relation not in found:
                said = " and ".join(found) or "neither side of"
                return f"expected {wanted.name} {wanted.relation} {target}, found it {said} it"
    return ""


def relations(box: Box, other: Box, margin: float = MARGIN) -> tuple[str, ...]:
    """Where a box is relative to another; some of RELATIONS, none where it is too near to tell.

    By the offset of the centres, less `margin` of the sum of both sizes on each axis, over the distance of the centres.
    """
    offsets, shares = [], []
    for corner, side in (("x", "width"), ("y", "height")):
        offset = box[corner] + box[side] / 2 - other[corner] - other[side] / 2
        offsets.append(offset)
        shares.append(math.copysign(max(abs(offset) - margin * (box[side] + other[side]), 0.0), offset))
    distance = math.hypot(*offsets)
    if distance == 0:
        return ()
    x, y = (share / distance for share in shares)
    holds = (x < -ASIDE, x > ASIDE, y < -ASIDE, y > ASIDE)
    return tuple(relation for relation, true in zip(RELATIONS, holds, strict=True) if true)
