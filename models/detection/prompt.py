"""Prompts of an open-vocabulary detector: phrases, the caption that the network reads, and which token spells what."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from ..errors import BadInput

if TYPE_CHECKING:
    from tokenizers import BertWordPieceTokenizer

VOCABULARY: Final = Path(__file__).parent / "bert_base_uncased_vocab.txt"
"""The WordPiece vocabulary of bert-base-uncased, which the published detectors read."""

SEPARATORS: Final = re.compile(r"[.,;?\n]+")
"""Between phrases. Full stop and question mark are where the network itself ends a phrase."""


class Prompt(NamedTuple):
    """A tokenised prompt.

    phrases: the P phrases, as the user wrote them.
    tokens: the T tokens of the caption `[CLS] phrase . phrase . [SEP]`.
    ids: int64 [T], their places in the vocabulary.
    phrase_tokens: bool [P, T], which tokens spell each phrase.
    """

    phrases: tuple[str, ...]
    tokens: tuple[str, ...]
    ids: torch.Tensor
    phrase_tokens: torch.Tensor


def read_vocabulary(path: Path = VOCABULARY) -> BertWordPieceTokenizer:
    """BERT's uncased tokenizer over a vocabulary file of one token a line."""
    from tokenizers import BertWordPieceTokenizer

    return BertWordPieceTokenizer(str(path), lowercase=True)


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


def encode(prompt: str, tokenizer: BertWordPieceTokenizer, max_tokens: int) -> Prompt:
    """Tokenise a prompt for a network that reads at most `max_tokens` tokens.

    Raises:
        BadInput: an empty or too long prompt, or a phrase of which the vocabulary knows no part.
    """
    phrases = split(prompt)
    caption = "".join(f"{phrase} . " for phrase in phrases).strip()
    encoding = tokenizer.encode(caption)
    tokens = tuple(encoding.tokens)
    if len(tokens) > max_tokens:
        raise BadInput(
            f"prompt: its {len(phrases)} phrases are {len(tokens)} tokens, and this detector reads at most "
            f"{max_tokens}; use fewer or shorter phrases, or several Detect by Text nodes."
        )
    places = torch.tensor(encoding.offsets)
    rows = []
    start = 0
    for phrase in phrases:
        end = start + len(phrase)
        rows.append((places[:, 0] >= start) & (places[:, 1] <= end) & (places[:, 0] < places[:, 1]))
        start = end + len(" . ")
    phrase_tokens = torch.stack(rows)
    known = torch.tensor([token != "[UNK]" for token in tokens])
    for phrase, spelled in zip(phrases, phrase_tokens, strict=True):
        if not bool((spelled & known).any()):
            raise BadInput(f"prompt: the detector's vocabulary knows no part of {phrase!r}; use English words.")
    return Prompt(phrases, tokens, torch.tensor(encoding.ids), phrase_tokens)
