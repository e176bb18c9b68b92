"""Prompts of a detector: the phrases that a text asks for, how many of each, and how sure they must be."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from ..errors import BadInput

SEPARATORS: Final = re.compile(r"[.,;?\n]+")
"""Between phrases. Full stop and question mark are where a network that reads captions ends a phrase by itself."""
PARTS: Final = re.compile(r"(?:[:@]\s*(?:\d+(?:\.\d+)?|\.\d+)|[^.,;?\n])+")
"""What stands between separators; the full stop of a number behind a colon or an at sign separates nothing."""
SUFFIX: Final = re.compile(r"(.*?)\s*([:@])\s*([-+\d.%]+)")
WRAPPED: Final = re.compile(r"\((.*)\)")
SHOWN: Final = 60
"""Characters of a phrase in a message."""


class Phrase(NamedTuple):
    """What a prompt asks for.

    text: the phrase as the user wrote it. limit: of an image at most so many, the best; 0 is all of them.
    threshold: scores from which it counts, 0..1, instead of those for all phrases.
    """

    text: str
    limit: int = 0
    threshold: float | None = None

    @property
    def written(self) -> str:
        """As a prompt says it: `a cat:2@0.4`."""
        limit = f":{self.limit}" if self.limit else ""
        return self.text + limit + ("" if self.threshold is None else f"@{self.threshold:g}")


def parse(prompt: str) -> tuple[Phrase, ...]:
    """The phrases between full stops, commas, semicolons, question marks and line ends; each once, whatever its case.

    Behind a phrase may stand a limit, `a cat:2`, as the host's SAM 3 nodes write it, a threshold, `a cat@0.4`, or both
    in any order; also in parentheses around it all.

    Raises:
        BadInput: there is none; half a character; a limit or a threshold that is no such number, or stands alone; or a
            phrase is asked for twice, with other numbers.
    """
    if any("\ud800" <= character <= "\udfff" for character in prompt):
        raise BadInput(f"prompt: {shown(prompt)!r} holds half a character, as a cut text does; write it anew.")
    unique: dict[str, Phrase] = {}
    for part in PARTS.findall(prompt):
        if not part.strip():
            continue
        phrase = _phrase(" ".join(part.split()))
        known = unique.setdefault(phrase.text.lower(), phrase)
        if known[1:] != phrase[1:]:
            raise BadInput(
                f"prompt: it asks for {known.text!r} twice, as {known.written!r} and as {phrase.written!r}; keep one."
            )
    if not unique:
        raise BadInput(f"prompt: {prompt!r} names nothing; write what to look for, such as: a cat . a red car")
    return tuple(unique.values())


def split(prompt: str) -> tuple[str, ...]:
    """The texts of the phrases; see `parse`."""
    return tuple(phrase.text for phrase in parse(prompt))


def shown(phrase: str) -> str:
    """A phrase as messages show it, however long it is."""
    return phrase if len(phrase) <= SHOWN else f"{phrase[:SHOWN]}..."


def _phrase(part: str) -> Phrase:
    wrapped = WRAPPED.fullmatch(part)
    text = wrapped[1].strip() if wrapped and SUFFIX.fullmatch(wrapped[1].strip()) else part
    numbers: dict[str, str] = {}
    while found := SUFFIX.fullmatch(text):
        text, sign, number = found.groups()
        if sign in numbers:
            raise BadInput(f"prompt: {part!r} has two numbers behind {sign!r}; write one.")
        numbers[sign] = number
    if not text:
        raise BadInput(f"prompt: {part!r} is a number without a phrase; write what to look for, such as: a cat{part}")
    limit = _number(numbers[":"]) if ":" in numbers else None
    if ":" in numbers and (limit is None or round(limit) < 1):
        raise BadInput(f"prompt: {part!r}: behind the colon stands how many to keep, 1 or more, as in {text}:2")
    threshold = _number(numbers["@"]) if "@" in numbers else None
    if "@" in numbers and (threshold is None or threshold > 1):
        raise BadInput(f"prompt: {part!r}: behind the at sign stands a threshold from 0 to 1, as in {text}@0.4")
    return Phrase(text, 0 if limit is None else round(limit), threshold)


def _number(text: str) -> float | None:
    """A number without a sign, of at most nine digits before its point; None where it is none."""
    return float(text) if re.fullmatch(r"\d{1,9}(\.\d+)?|\.\d+", text) else None
