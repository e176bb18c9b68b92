"""transformers' own tokenizer over the pack's vocabulary, in both generations of its interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trilemma.models.detection.captions import VOCABULARY

if TYPE_CHECKING:
    from transformers import BertTokenizerFast


def tokenizer() -> BertTokenizerFast:
    """bert-base-uncased's tokenizer, without a network."""
    import transformers

    if int(transformers.__version__.split(".")[0]) < 5:
        return transformers.BertTokenizerFast(vocab_file=str(VOCABULARY), do_lower_case=True)
    words = VOCABULARY.read_text(encoding="utf-8").splitlines()
    return transformers.BertTokenizerFast(vocab={word: index for index, word in enumerate(words)}, do_lower_case=True)
