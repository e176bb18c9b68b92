"""The dictionary of captions: read as data, sentences cut into words as the published code does."""

import json
import pickle
import random

import pytest
from trilemma.models.errors import BadCheckpoint
from trilemma.models.files.unpickling import contents
from trilemma.models.generators.gan.text_to_image import words

WORDS = ("a", "bird", "red", "wings")


def dictionary(tmp_path, captions=((1, 3, 2), (2,))):
    return words.read(words.write(tmp_path / "captions.pickle", WORDS, captions))


def test_what_was_written_is_read(tmp_path):
    found = dictionary(tmp_path)
    assert found.words == ("<end>", *WORDS)
    assert [found.caption(index).words for index in range(found.captions)] == [("a", "red", "bird"), ("bird",)]


@pytest.mark.parametrize(
    ("sentence", "numbers", "unknown"),
    [
        ("A red bird.", (1, 3, 2), ()),
        ("a RED-winged bird", (1, 3, 2), ("winged",)),
        ("this bird, this bird has wings", (2, 2, 4), ("this", "has")),
        ("a\ufffd\ufffdbird", (1, 2), ()),
        ("rédbird réd", (), ("rédbird",)),
        ("", (), ()),
    ],
)
def test_sentences_are_cut_into_words(sentence, numbers, unknown, tmp_path):
    """Letters outside ASCII are lost, as in the published tokenizer: réd is rd, which nobody knows."""
    reading = dictionary(tmp_path).read(sentence)
    assert reading.numbers == numbers
    assert reading.unknown[: len(unknown)] == unknown
    assert len(reading.words) == len(numbers)


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_training_captions_serve_where_there_are_none_of_tests(protocol, tmp_path):
    numbers = {"<end>": 0, "bird": 1}
    path = tmp_path / "captions.pickle"
    path.write_bytes(pickle.dumps(([[1, 1], []], [], {0: "<end>", 1: "bird"}, numbers), protocol))
    found = words.read(path)
    assert (found.captions, found.caption(0).numbers) == (1, (1, 1))


@pytest.mark.parametrize(
    "content",
    [
        {"a": 1},
        [[], [], {}, {}],
        [[], [], {0: "a"}, {"a": 1}],
        [[], [], {}, {"a": 0, "b": 0}],
        [[], [], {}, {1: 0}],
        [[], [], {}, {"a": [0]}],
        [[], []],
    ],
)
def test_other_pickles_are_refused(content, tmp_path):
    (tmp_path / "captions.pickle").write_bytes(pickle.dumps(content))
    with pytest.raises(BadCheckpoint, match=r"captions\.pickle: it holds no dictionary"):
        words.read(tmp_path / "captions.pickle")


def test_small_integers_are_those_of_the_file(tmp_path):
    """Runs of them are read at once."""
    rng = random.Random(0)
    numbers = [
        rng.choice([rng.randrange(256), rng.randrange(65536), rng.randrange(2**20), 75, 77]) for _ in range(9000)
    ]
    content = [numbers, numbers[:1], [numbers[5:6]], {7: 300}]
    for protocol in (1, 2, 5):
        (tmp_path / "x.pkl").write_bytes(pickle.dumps(content, protocol))
        assert contents(tmp_path / "x.pkl") == content
    whole = pickle.dumps([1, 2, 300], 2)
    (tmp_path / "x.pkl").write_bytes(whole[: whole.index(b"M") + 2])
    with pytest.raises(BadCheckpoint, match="ends early"):
        contents(tmp_path / "x.pkl")


def test_the_plain_form_is_read(tmp_path):
    path = tmp_path / "captions.json"
    path.write_text(json.dumps({"words": ["<end>", *WORDS], "captions": [[1, 3, 2], [2]]}))
    found = words.read(path)
    assert found == dictionary(tmp_path)._replace(tokens=found.tokens, ends=found.ends)
    assert [found.caption(index).words for index in range(found.captions)] == [("a", "red", "bird"), ("bird",)]


@pytest.mark.parametrize("content", [{}, {"words": ["a", "a"]}, {"words": "a"}, {"words": [["a"]]}, {"words": []}])
def test_a_plain_form_without_words_is_refused(content, tmp_path):
    path = tmp_path / "captions.json"
    path.write_text(json.dumps(content))
    with pytest.raises(BadCheckpoint, match=r"captions\.json: it holds no dictionary"):
        words.read(path)
