"""Lists of seeds as users write them."""

from __future__ import annotations

import re

from ..errors import BadInput
from .noise import SEEDS


def read_seeds(text: str, what: str = "seeds") -> list[int]:
    """Seeds separated by commas, blanks or lines.

    Raises:
        BadInput: there is none, or one is no whole number from 0 to 2^64 - 1.
    """
    words = [word for word in re.split(r"[\s,;]+", text) if word]
    if not words:
        raise BadInput(f"{what}: it is empty; write whole numbers separated by commas, such as 1, 2, 3.")
    for word in words:
        if not (word.isascii() and word.isdecimal()) or int(word) >= SEEDS:
            raise BadInput(
                f"{what}: {word[:80]!r} is no whole number from 0 to {SEEDS - 1}; write, for example, 1, 2, 3."
            )
    return [int(word) for word in words]
