"""How each image was drawn: one record per image, as JSON that travels beside the batch and inside its files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import BadInput
from ..texts import parsed_json
from .base import Condition, SampleRequest
from .binding import Bound

Record = Mapping[str, Any]


def records_of(bound: Bound, requests: Sequence[SampleRequest]) -> list[Record]:
    """One record per request: its index, seed, condition and negative prompt, and what all of them share.

    Where the model understands a condition in part, the record has its remark.

    Shared are the architecture, its family, the identity of its weights, what of the file they are (where there was a
    choice), and the settings that were in force.
    """
    descriptor = bound.generator.descriptor
    shared = {
        "family": descriptor.family,
        "architecture": descriptor.architecture,
        "weights": bound.generator.identity,
        **({"notes": list(bound.generator.notes)} if bound.generator.notes else {}),
        "settings": {name: _plain(value) for name, value in bound.settings.items()},
    }
    return [
        {
            "index": request.index,
            "seed": request.seed,
            "condition": request.condition.text,
            "negative_prompt": request.condition.negative,
            **_given(request.condition),
            **({"remark": said} if (said := bound.generator.remark(request.condition)) else {}),
            **shared,
        }
        for request in requests
    ]


def _given(condition: Condition) -> Record:
    """Images and vector by their digests, where there are any."""
    images, vector = [image.digest for image in condition.images], condition.vector
    return {**({"images": images} if images else {}), **({"vector": vector.digest} if vector else {})}


def remarks(bound: Bound) -> str:
    """What the generator says of its conditions, such as words that it does not know: a line for each; else empty."""
    return "\n".join(dict.fromkeys(filter(None, map(bound.generator.remark, bound.conditions))))


def _plain(value: Any) -> Any:
    """Numbers and texts as they are, in words what else an option may be, such as a fitted prior."""
    return value if isinstance(value, str | int | float) else str(value)


def to_json(records: Sequence[Record]) -> str:
    """A list, one record to a line."""
    return "[" + ",\n".join(json.dumps(record, ensure_ascii=False) for record in records) + "]"


def from_json(text: str, count: int) -> list[Record]:
    """The records of `count` images.

    Raises:
        BadInput: the text is no JSON list of objects, or of another length.
    """
    try:
        found = parsed_json(text)
    except ValueError as error:
        raise BadInput(f"records: no JSON ({error}); wire them from Sample Images.") from None
    if not isinstance(found, list) or not all(isinstance(record, Mapping) for record in found):
        raise BadInput("records: expected a JSON list with one object per image; wire them from Sample Images.")
    if len(found) != count:
        raise BadInput(f"records: {len(found)} records for {count} images; wire both from the same Sample Images.")
    return found
