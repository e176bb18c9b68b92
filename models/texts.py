"""What is asked of texts before they are read, and how messages count."""

from __future__ import annotations

from .errors import BadInput

SHOWN = 60
"""Characters of a text that a message repeats."""


def check_characters(name: str, text: str) -> None:
    """Raise BadInput, which names the input, where a text holds half a character, which no tokenizer reads."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise BadInput(f"{name}: {text[:SHOWN]!r} holds half a character, as a cut text does; write it anew.")


def counted(count: int, noun: str) -> str:
    """A number of things: 1 point, 2 points."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
