"""Lists of seeds as users write them."""

from __future__ import annotations

import re

from ..errors import BadInput
from ..texts import whole_number
from .noise import SEEDS


def read_seeds(text: str, what: str = "seeds") -> list[int]:
    """Seeds separated by commas, blanks or lines.

    Raises:
        BadInput: there is none, or one is no whole number from 0 to 2^64 - 1.
    """
    words = [word for word in re.split(r"[\s,;]+", text) if word]
    if not words:
        raise BadInput(f"{what}: it is empty; write whole numbers separated by commas, such as 1, 2, 3.")
    seeds = []
    for word in words:
        seed = whole_number(word) if word.isascii() else None
        if seed is None or seed >= SEEDS:
            raise BadInput(
                f"{what}: {word[:80]!r} is no whole number from 0 to {SEEDS - 1}; write, for example, 1, 2, 3."
            )
        seeds.append(seed)
    return seeds
