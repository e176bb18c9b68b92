"""Phrases, captions and the map from tokens to phrases."""

import hashlib

import pytest
import torch
from trilemma.models.detection.captions import VOCABULARY, encode, encode_all, read_vocabulary
from trilemma.models.detection.prompt import Phrase, parse, split
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


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a cat:2", Phrase("a cat", 2)),
        ("a cat@0.4", Phrase("a cat", 0, 0.4)),
        ("a cat:2@0.4", Phrase("a cat", 2, 0.4)),
        ("a cat @ .4 : 2", Phrase("a cat", 2, 0.4)),
        ("a cat@0", Phrase("a cat", 0, 0.0)),
        ("a cat:2.6", Phrase("a cat", 3)),
        ("(a cat:2)", Phrase("a cat", 2)),
        ("(a cat)", Phrase("(a cat)")),
        ("12:30 clock", Phrase("12:30 clock")),
        ("me@home", Phrase("me@home")),
        ("animals:", Phrase("animals:")),
    ],
)
def test_phrases_carry_limits_and_thresholds(prompt, expected):
    assert parse(f"dog . {prompt}. bird") == (Phrase("dog"), expected, Phrase("bird"))
    assert parse(expected.written) == (expected,)


def test_full_stops_of_other_numbers_separate():
    assert split("a cat@0.4.a dog:2.a bird") == ("a cat", "a dog", "a bird")
    assert split("3.5 inch disk") == ("3", "5 inch disk")


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("a cat:0", "behind the colon stands how many to keep, 1 or more, as in a cat:2"),
        ("a cat:-1", "behind the colon stands how many"),
        ("a cat:" + "9" * 400, "behind the colon stands how many"),
        ("a cat@1.5", "behind the at sign stands a threshold from 0 to 1, as in a cat@0.4"),
        ("a cat@40%", "behind the at sign stands a threshold"),
        ("a cat:2:3", "has two numbers behind ':'"),
        (":2", "is a number without a phrase"),
        ("a cat:2 . A cat", "asks for 'a cat' twice, as 'a cat:2' and as 'A cat'"),
    ],
)
def test_numbers_that_are_none_are_refused(prompt, message):
    with pytest.raises(BadInput, match=f"prompt: .*{message}"):
        parse(prompt)


@pytest.mark.parametrize("prompt", ["", " \n", ". , ;"])
def test_empty_prompt_is_refused(prompt):
    with pytest.raises(BadInput, match=r"prompt: .* names nothing"):
        split(prompt)


def test_half_a_character_is_refused():
    with pytest.raises(BadInput, match=r"^prompt: .*ud83d.* holds half a character"):
        parse("a cat . \ud83d")


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


def test_phrases_are_spread_over_captions_whole_and_in_order(tokenizer):
    phrases = [f"cat {n}" for n in range(100)]
    captions = encode_all(phrases, tokenizer, 256)
    assert [len(caption.tokens) for caption in captions] == [254, 50]
    assert sum((caption.phrases for caption in captions), ()) == tuple(phrases)
    for caption in captions:
        assert caption.ids.tolist() == encode(" . ".join(caption.phrases), tokenizer, 256).ids.tolist()
    (alone,) = encode_all(phrases[:84], tokenizer, 254)
    assert len(alone.tokens) == 254
    assert len(encode_all(phrases[:84], tokenizer, 253)) == 2


def test_phrase_longer_than_a_caption_is_named(tokenizer):
    with pytest.raises(BadInput, match=r"the phrase 'very very .*\.\.\.' is 302 tokens with its full stop") as raised:
        encode_all(["dog", "very " * 300 + "cat"], tokenizer, 256)
    assert "at most 254" in str(raised.value)
    assert len(str(raised.value)) < 250


def test_phrase_outside_the_vocabulary_is_named(tokenizer):
    with pytest.raises(BadInput, match="knows no part of '🐱'"):
        encode("cat . 🐱", tokenizer, 256)
