"""Prompts of a detector: the phrases that a text asks for."""

from __future__ import annotations

import re
from typing import Final

from ..errors import BadInput

SEPARATORS: Final = re.compile(r"[.,;?\n]+")
"""Between phrases. Full stop and question mark are where a network that reads captions ends a phrase by itself."""


def split(prompt: str) -> tuple[str, ...]:
    """The phrases between full stops, commas, semicolons, question marks and line ends; each once, whatever its case.

    Raises:
        BadInput: there is none.
    """
    unique: dict[str, str] = {}
    for part in SEPARATORS.split(prompt):
        phrase = " ".join(part.split())
        if phrase:
            unique.setdefault(phrase.lower(), phrase)
    if not unique:
        raise BadInput(f"prompt: {prompt!r} names nothing; write what to look for, such as: a cat . a red car")
    return tuple(unique.values())
