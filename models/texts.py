"""What is asked of texts before they are read, and how messages count."""

from __future__ import annotations

import json
from typing import Any

from .errors import BadInput

SHOWN = 60
"""Characters of a text that a message repeats."""
DIGITS = 20
"""Of the longest number that is read: 2^64 has as many."""


def check_characters(name: str, text: str) -> None:
    """Raise BadInput, which names the input, where a text holds half a character, which no tokenizer reads."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise BadInput(f"{name}: {text[:SHOWN]!r} holds half a character, as a cut text does; write it anew.")


def whole_number(text: str) -> int | None:
    """The number that decimal digits write; None for anything else, and beyond DIGITS, where Python reads on in
    quadratic time or refuses in words of its own."""
    digits = text.lstrip("0") or text[-1:]
    return int(digits) if text.isdecimal() and len(digits) <= DIGITS else None


def parsed_json(text: str | bytes) -> Any:
    """What a text of JSON says.

    Raises:
        ValueError: it is none, or its lists and objects lie too deep in each other.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("lists and objects lie too deep in each other") from None


def counted(count: int, noun: str) -> str:
    """A number of things: 1 point, 2 points."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
