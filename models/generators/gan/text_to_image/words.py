"""The dictionary of a DAMSM text encoder, `captions.pickle`, read as data: numbers of words, and sample captions.

The pack's own is `captions.json`: `words` by number, of which the first is END, and `captions` as lists of numbers.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from ....errors import BadCheckpoint
from ....files.atomic import replacing
from ....files.folders import read_json
from ....files.unpickling import contents

WORD: Final = re.compile(r"\w+")
END: Final = "<end>"
"""The word 0, which also fills captions up."""


class Reading(NamedTuple):
    """A sentence as a dictionary knows it. numbers, words: of those that it has, in order. unknown: the others."""

    numbers: tuple[int, ...]
    words: tuple[str, ...]
    unknown: tuple[str, ...]


class Dictionary(NamedTuple):
    """numbers: of each word. words: by number. tokens: of all captions, int32, one caption after the other; ends: where
    each ends."""

    numbers: Mapping[str, int]
    words: tuple[str, ...]
    tokens: np.ndarray
    ends: np.ndarray

    @property
    def captions(self) -> int:
        """How many there are."""
        return len(self.ends)

    def read(self, sentence: str) -> Reading:
        """A sentence in words of letters, digits and underscores, whatever their case; others are lost, as in AttnGAN's
        tokenizer."""
        found = WORD.findall(sentence.replace("\ufffd\ufffd", " ").lower())
        plain = [(word, word.encode("ascii", "ignore").decode()) for word in found]
        known = [each for _, each in plain if each in self.numbers]
        unknown = dict.fromkeys(word for word, each in plain if each not in self.numbers)
        return Reading(tuple(self.numbers[word] for word in known), tuple(known), tuple(unknown))

    def caption(self, index: int) -> Reading:
        """One of the samples."""
        start = int(self.ends[index - 1]) if index else 0
        numbers = tuple(map(int, self.tokens[start : int(self.ends[index])]))
        return Reading(numbers, tuple(self.words[number] for number in numbers), ())


def read(path: Path) -> Dictionary:
    """What AttnGAN's preprocessing wrote: captions of the training set and of the test set, as lists of numbers, words
    by number, numbers by word. Those of the test set are kept, from which papers draw, if there are any.

    Raises:
        BadCheckpoint: it holds something else, or is broken.
    """
    found = _plain(path) if path.suffix == ".json" else _pickled(path)
    parts: Sequence[Any] = found if isinstance(found, (list, tuple)) and len(found) >= 4 else [None] * 4
    numbers: Any = parts[3]
    if not _is_numbering(numbers):
        raise BadCheckpoint(
            f"{path.name}: it holds no dictionary; expected a list of captions for training and for tests, words by "
            "number, and numbers by word, as AttnGAN's captions.pickle."
        )
    words = tuple(sorted(numbers, key=lambda word: numbers[word]))
    for captions in (parts[1], parts[0]):
        kept = [each for each in captions or () if _is_caption(each, len(words))]
        if kept:
            break
    ends = np.cumsum([len(each) for each in kept], dtype=np.int64)
    tokens = np.fromiter((number for each in kept for number in each), np.int32, int(ends[-1]) if kept else 0)
    return Dictionary(numbers, words, tokens, ends)


def _pickled(path: Path) -> Any:
    try:
        return contents(path)
    except BadCheckpoint as error:
        raise BadCheckpoint(f"{path.name}: {error}") from error


def _plain(path: Path) -> Any:
    """The parts of a pickled dictionary, of the pack's own."""
    found = read_json(path)
    words = found.get("words")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words) or len(set(words)) < len(words):
        return None
    return [], found.get("captions"), words, {word: number for number, word in enumerate(words)}


def _is_numbering(value: Any) -> bool:
    """Whether it gives each word a number of its own, from 0 without a gap."""
    if not isinstance(value, dict) or not value or not all(isinstance(word, str) for word in value):
        return False
    numbers = list(value.values())
    return all(type(number) is int for number in numbers) and sorted(numbers) == list(range(len(numbers)))


def _is_caption(value: Any, words: int) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(number, int) and 0 <= number < words for number in value)
    )


def write(path: Path, words: Sequence[str], captions: Sequence[Sequence[int]]) -> Path:
    """A dictionary in this form, whose captions are those of the tests; words: without the END."""
    listed = [END, *words]
    numbers = {word: number for number, word in enumerate(listed)}
    content = [[], [list(each) for each in captions], dict(enumerate(listed)), numbers]
    with replacing(path) as file:
        file.write(pickle.dumps(content, protocol=2))
    return path
