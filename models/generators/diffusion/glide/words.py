"""Prompts as GLIDE's transformer reads them: GPT-2's pieces of words (Radford et al., 2019), in small letters.

`merges.txt` is GPT-2's `vocab.bpe`. Its `encoder.json` numbers the bytes, then what each merge makes, in the order of
the merges, and at last the piece that ends a text.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

if TYPE_CHECKING:
    from tokenizers import ByteLevelBPETokenizer

MERGES: Final = Path(__file__).parent / "merges.txt"
PIECES: Final = 50257
PADDING: Final = PIECES - 1
"""The end of a text, which stands behind it too."""


class Tokens(NamedTuple):
    """Prompts of equal length. numbers: int64 [N, L]. there: bool [N, L], false behind the last piece."""

    numbers: torch.Tensor
    there: torch.Tensor


def pieces(text: str) -> list[int]:
    """The numbers of a text's pieces."""
    return _tokenizer().encode(text.lower()).ids


def tokens(texts: list[str], length: int) -> Tokens:
    """Prompts, cut off and filled up to so many pieces each."""
    rows = [pieces(text)[:length] for text in texts]
    numbers = torch.tensor([row + [PADDING] * (length - len(row)) for row in rows])
    return Tokens(numbers, torch.arange(length) < torch.tensor([len(row) for row in rows])[:, None])


def remark(text: str, length: int) -> str:
    """What to say of a prompt that is longer than so many pieces."""
    count = len(pieces(text))
    return f"only the first {length} of {count} pieces of words are read." if count > length else ""


@cache
def _tokenizer() -> ByteLevelBPETokenizer:
    from tokenizers import ByteLevelBPETokenizer

    lines = MERGES.read_text(encoding="utf-8").splitlines()[1:]
    merges = [(first, second) for first, _, second in (line.partition(" ") for line in lines)]
    made = [*_bytes(), *(first + second for first, second in merges)]
    return ByteLevelBPETokenizer({piece: number for number, piece in enumerate(made)}, merges)


def _bytes() -> list[str]:
    """The letter that stands for each byte, in GPT-2's order: printable ones for themselves, and then the others."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [*map(chr, printable), *(chr(256 + place) for place in range(256 - len(printable)))]
