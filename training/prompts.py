"""The detector's words: a small WordPiece vocabulary, and prompts that name what a scene shows and what it does not."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .scenes import NAMES

VOCABULARY_SIZE = 4096
PAD, CLS, SEP, STOP = 0, 101, 102, 1012


class Prompts(NamedTuple):
    """B tokenised prompts of T tokens, shorter ones padded."""

    ids: Tensor
    """int64 [B, T]."""
    mask: Tensor
    """bool [B, T], False where padded."""
    spans: list[dict[str, Tensor]]
    """Per prompt: name -> bool [T], the tokens of its phrase."""


def build_vocabulary(bert: Sequence[str], names: Sequence[str] = NAMES) -> list[str]:
    """The first 4,096 lines of bert-base-uncased's vocabulary, with missing words of `names` in its [unused] lines.

    The ids of the special tokens and of the full stop stay what Grounding DINO expects.
    """
    vocabulary = list(bert[:VOCABULARY_SIZE])
    known = set(vocabulary)
    words = {word: None for name in names for word in name.split() if word not in known}
    for index, word in enumerate(words):
        vocabulary[vocabulary.index(f"[unused{index}]")] = word
    return vocabulary


def read_vocabulary(path: Path) -> list[str]:
    """One token a line."""
    return path.read_text(encoding="utf-8").splitlines()


def choose_names(
    rng: np.random.Generator,
    shown: Sequence[str],
    names: Sequence[str] = NAMES,
    alone: float = 0.2,
    present: float = 0.5,
) -> list[str]:
    """A shuffled prompt: each name that is shown with probability 0.85, and 1 to 12 absent ones; or a single name.

    alone: share of the prompts that ask for one name alone, as users do. present: how many of those names are shown.
    """
    unique = sorted(set(shown))
    absent = [name for name in names if name not in unique]
    if rng.random() < alone:
        return [str(rng.choice(unique if rng.random() < present else absent))]
    kept = [name for name in unique if rng.random() < 0.85]
    chosen = kept + list(rng.choice(absent, rng.integers(1, 13), replace=False))
    return [str(chosen[index]) for index in rng.permutation(len(chosen))]


def encode(
    prompts: Sequence[Sequence[str]], vocabulary: Sequence[str], rng: np.random.Generator | None = None
) -> Prompts:
    """Tokenise lists of names to `[CLS] name . name . [SEP]`; with `rng`, a quarter of the names gets an article."""
    index = {token: position for position, token in enumerate(vocabulary)}
    rows: list[list[int]] = []
    places: list[dict[str, slice]] = []
    for names in prompts:
        row = [CLS]
        place = {}
        for name in names:
            words = name.split()
            if rng is not None and rng.random() < 0.25:
                words = ["an" if name[0] in "aeiou" else "a", *words]
            place[name] = slice(len(row), len(row) + len(words))
            row += [index[word] for word in words] + [STOP]
        rows.append([*row, SEP])
        places.append(place)
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), PAD)
    for target, row in zip(ids, rows, strict=True):
        target[: len(row)] = torch.tensor(row)
    lengths = torch.tensor([len(row) for row in rows])
    mask = torch.arange(longest) < lengths[:, None]
    spans = [{name: _span(place, longest) for name, place in places_of.items()} for places_of in places]
    return Prompts(ids, mask, spans)


def _span(place: slice, length: int) -> Tensor:
    tokens = torch.zeros(length, dtype=torch.bool)
    tokens[place] = True
    return tokens
