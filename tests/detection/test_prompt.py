"""Phrases, captions and the map from tokens to phrases."""

import hashlib

import pytest
import torch
from trilemma.models.detection.captions import VOCABULARY, encode, read_vocabulary
from trilemma.models.detection.prompt import split
from trilemma.models.errors import BadInput
from trilemma.tests.detection import berts


@pytest.fixture(scope="module")
def tokenizer():
    return read_vocabulary()


@pytest.mark.parametrize(
    "prompt",
    ["a cat . a red car", "a cat, a red car", "a cat\na red car\n", "a cat; a red  car.", " . a cat ? a red car ,, "],
)
def test_phrases_are_separated_by_stops_commas_and_lines(prompt):
    assert split(prompt) == ("a cat", "a red car")


def test_phrases_count_once_whatever_their_case():
    assert split("A cat. dog. a Cat. Dog") == ("A cat", "dog")


@pytest.mark.parametrize("prompt", ["", " \n", ". , ;"])
def test_empty_prompt_is_refused(prompt):
    with pytest.raises(BadInput, match=r"prompt: .* names nothing"):
        split(prompt)


def test_tokens_are_mapped_to_their_phrases(tokenizer):
    prompt = encode("a cat . Remote  Control, pineapples", tokenizer, 256)
    spelled = [[prompt.tokens[t] for t in row.nonzero().flatten()] for row in prompt.phrase_tokens]
    assert prompt.phrases == ("a cat", "Remote Control", "pineapples")
    assert spelled == [["a", "cat"], ["remote", "control"], ["pine", "##apple", "##s"]]
    assert prompt.phrase_tokens.shape == (3, len(prompt.tokens)) and prompt.phrase_tokens.dtype == torch.bool


def test_accents_fold_without_moving_the_map(tokenizer):
    prompt = encode("Café au lait . Übergröße . dog", tokenizer, 256)
    spelled = ["".join(prompt.tokens[t] for t in row.nonzero().flatten()) for row in prompt.phrase_tokens]
    assert spelled == ["cafeaulai##t", "uber##gr##o##ße", "dog"]


def test_caption_is_the_references(tokenizer):
    assert encode("cat. dog. remote control", tokenizer, 256).ids.tolist() == [
        *(101, 4937, 1012, 3899, 1012, 6556, 2491, 1012, 102)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("text", ["a cat . a red car .", "l'été, señor!", "T-Shirt 3.5mm\tjack", "猫 cat", "don't"])
def test_tokenizer_is_berts(tokenizer, text):
    expected = berts.tokenizer()
    assert tokenizer.encode(text).ids == expected(text)["input_ids"]


def test_vocabulary_is_bert_base_uncaseds():
    assert hashlib.sha256(VOCABULARY.read_bytes()).hexdigest().startswith("07eced37")
    words = VOCABULARY.read_text(encoding="utf-8").splitlines()
    assert len(words) == 30522
    # Ids that transformers' Grounding DINO has built in.
    assert [words[i] for i in (101, 102, 1012, 1029)] == ["[CLS]", "[SEP]", ".", "?"]


def test_too_many_tokens_are_counted(tokenizer):
    names = " . ".join(f"cat {n}" for n in range(100))
    with pytest.raises(BadInput, match="its 100 phrases are 302 tokens, and this detector reads at most 256"):
        encode(names, tokenizer, 256)


def test_phrase_outside_the_vocabulary_is_named(tokenizer):
    with pytest.raises(BadInput, match="knows no part of '🐱'"):
        encode("cat . 🐱", tokenizer, 256)
