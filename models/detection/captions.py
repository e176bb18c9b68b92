"""Captions: the sentence that BERT reads for a prompt, and which of its tokens spells which phrase."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from ..errors import BadInput
from .prompt import split

if TYPE_CHECKING:
    from tokenizers import BertWordPieceTokenizer

VOCABULARY: Final = Path(__file__).parent / "bert_base_uncased_vocab.txt"
"""The WordPiece vocabulary of bert-base-uncased, which the published detectors read."""


class Caption(NamedTuple):
    """A tokenised prompt of P phrases.

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


def encode(prompt: str, tokenizer: BertWordPieceTokenizer, max_tokens: int) -> Caption:
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
    return Caption(phrases, tokens, torch.tensor(encoding.ids), phrase_tokens)
