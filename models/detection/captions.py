"""Captions: the sentence that BERT reads for a prompt, and which of its tokens spells which phrase."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from ..errors import BadInput
from .prompt import shown, split

if TYPE_CHECKING:
    from tokenizers import BertWordPieceTokenizer

VOCABULARY: Final = Path(__file__).parent / "bert_base_uncased_vocab.txt"
"""The WordPiece vocabulary of bert-base-uncased, which the published detectors read."""
ENDS: Final = ("[CLS]", "[SEP]")
"""Tokens before and behind every caption."""


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
    """Tokenise a prompt as one caption, for a network that reads at most `max_tokens` tokens.

    Raises:
        BadInput: an empty or too long prompt, or a phrase of which the vocabulary knows no part.
    """
    caption = _caption(split(prompt), tokenizer)
    if len(caption.tokens) > max_tokens:
        raise BadInput(
            f"prompt: its {len(caption.phrases)} phrases are {len(caption.tokens)} tokens, and this detector reads at "
            f"most {max_tokens}; use fewer or shorter phrases."
        )
    return caption


def encode_all(phrases: Sequence[str], tokenizer: BertWordPieceTokenizer, max_tokens: int) -> tuple[Caption, ...]:
    """Phrases as captions of at most `max_tokens` tokens each, in their order: one, unless they do not fit into it.

    Raises:
        BadInput: a phrase that does not fit into a caption alone, or of which the vocabulary knows no part.
    """
    groups: list[list[str]] = [[]]
    room = max_tokens - len(ENDS)
    for phrase in phrases:
        # A full stop parts words, so that a phrase has the same tokens in any company.
        length = len(tokenizer.encode(f"{phrase} .", add_special_tokens=False).tokens)
        if length > max_tokens - len(ENDS):
            raise BadInput(
                f"prompt: the phrase {shown(phrase)!r} is {length} tokens with its full stop, and this detector reads "
                f"at most {max_tokens - len(ENDS)} at once; shorten it."
            )
        if length > room:
            groups.append([])
            room = max_tokens - len(ENDS)
        groups[-1].append(phrase)
        room -= length
    return tuple(_caption(group, tokenizer) for group in groups)


def _caption(phrases: Sequence[str], tokenizer: BertWordPieceTokenizer) -> Caption:
    caption = "".join(f"{phrase} . " for phrase in phrases).strip()
    encoding = tokenizer.encode(caption)
    tokens = tuple(encoding.tokens)
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
            raise BadInput(f"prompt: the detector's vocabulary knows no part of {shown(phrase)!r}; use English words.")
    return Caption(tuple(phrases), tokens, torch.tensor(encoding.ids), phrase_tokens)
