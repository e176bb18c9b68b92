"""Candidates that a user has dropped by hand, by their numbers."""

from __future__ import annotations

from ..errors import BadInput
from ..texts import parsed_json
from ..values import Detections

REMEDY = "clear it to [] after another prompt, detector or image, and click on the boxes again"


def read_numbers(text: str, detections: Detections) -> frozenset[int]:
    """The numbers of a JSON list; an empty text is an empty list.

    Query q of image i has the number i * Q + q, whatever the thresholds.

    Raises:
        BadInput: the text is no list of whole numbers, or a number is of no candidate.
    """
    try:
        found = parsed_json(text or "[]")
    except ValueError as error:
        raise BadInput(f"dropped: no JSON ({error}); write numbers of boxes such as [3, 17], or [].") from None
    if not isinstance(found, list) or not all(type(number) is int for number in found):
        raise BadInput(f"dropped: expected a JSON list of whole numbers such as [3, 17], found {text.strip()[:80]}.")
    frames, queries = detections.boxes.shape[:2]
    strange = [number for number in found if not 0 <= number < frames * queries]
    if strange:
        there = f"there are {frames * queries}, counted from 0" if frames * queries else "there are none"
        raise BadInput(f"dropped: there is no candidate {strange[0]}; {there}; {REMEDY}.")
    return frozenset(found)
