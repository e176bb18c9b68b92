"""Models that know a closed set of names: what they are asked for beyond it, and what to say of that."""

from __future__ import annotations

import heapq
import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Final

NEAREST: Final = 3
"""How many names a remark offers."""
COMPARED: Final = 300
"""How many names are compared letter by letter; of more, those that share most pairs of letters."""


def unknown(phrases: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Those phrases that hold none of the names as whole words; all are known where there is no closed set."""
    if not names:
        return ()
    known = re.compile("|".join(rf"(?<!\w){re.escape(name)}(?:e?s)?(?!\w)" for name in names), re.IGNORECASE)
    return tuple(phrase for phrase in phrases if not known.search(" ".join(phrase.split())))


def nearest(phrase: str, names: Sequence[str]) -> tuple[str, ...]:
    """The names that are spelled most like a phrase, the most alike first."""
    if len(names) > COMPARED:
        wanted = _pairs(phrase)
        names = heapq.nlargest(COMPARED, names, key=lambda name: _overlap(wanted, _pairs(name)))
    return tuple(sorted(names, key=lambda name: -_likeness(phrase.lower(), name.lower()))[:NEAREST])


def _pairs(word: str) -> set[str]:
    """Neighbouring letters, with the ends of the word."""
    return set(map("".join, pairwise(f" {word.lower()} ")))


def _overlap(one: set[str], other: set[str]) -> float:
    return 2 * len(one & other) / (len(one) + len(other))


def _likeness(phrase: str, name: str) -> float:
    """Of all letters in their order, and of the longest run of the name's: "cat" is near to "caterpillar"."""
    matcher = SequenceMatcher(None, phrase, name)
    return matcher.ratio() + matcher.find_longest_match().size / len(name)


def remark(phrases: Sequence[str], names: Sequence[str], model: str, instead: str) -> str:
    """What to say of phrases that are not among a model's names, a line for each; empty where all are.

    model: what it is, as "the starter detector". instead: what to load for anything else.
    """
    known = f"is none of the {len(names)} names that {model} knows"
    lines = [f"{phrase!r} {known}; nearest: {', '.join(nearest(phrase, names))}." for phrase in unknown(phrases, names)]
    return "\n".join([*lines, instead]) if lines else ""
