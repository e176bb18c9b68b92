"""What is said of phrases that a model with a closed set of names does not know."""

import random
import time

import pytest
from trilemma.models import closed_vocabulary

NAMES = ("cat", "soccer ball", "tree", "house", "bus")


@pytest.mark.parametrize("phrase", ["cat", "a Cat", "two cats", "the red  soccer ball", "buses", "a cat on a sofa"])
def test_what_holds_a_name_is_known(phrase):
    assert closed_vocabulary.unknown([phrase], NAMES) == ()
    assert closed_vocabulary.remark([phrase], NAMES, "this model", "Load another.") == ""


@pytest.mark.parametrize("phrase", ["a person", "caterpillar", "ball", "treehouse"])
def test_what_holds_none_is_unknown(phrase):
    assert closed_vocabulary.unknown(["cat", phrase], NAMES) == (phrase,)


@pytest.mark.parametrize(
    ("phrase", "first"), [("caterpillar", "cat"), ("a hous", "house"), ("football", "soccer ball"), ("trees.", "tree")]
)
def test_the_nearest_come_first(phrase, first):
    assert closed_vocabulary.nearest(phrase, NAMES)[0] == first


def test_a_line_for_each_and_what_to_load_instead():
    said = closed_vocabulary.remark(["a person", "cat", "ball"], NAMES, "this model", "Load another.")
    first, second, last = said.splitlines()
    assert first.startswith("'a person' is none of the 5 names that this model knows; nearest: ")
    assert second.startswith("'ball' is none of the 5 names that this model knows; nearest: soccer ball, ")
    assert last == "Load another."


def test_without_a_closed_set_all_is_known():
    assert closed_vocabulary.remark(["a person"], (), "this model", "Load another.") == ""


def test_of_very_many_names_the_nearest_is_found_soon():
    """Only those that share pairs of letters are compared."""
    rng = random.Random(0)
    others = ["".join(rng.choices("bcdfghjklmpqvxyz", k=rng.randint(3, 9))) for _ in range(20_000)]
    names = ["crimson", "criminal", "prison", "red", *others]
    began = time.process_time()
    assert closed_vocabulary.nearest("crimsons", names)[0] == "crimson"
    assert time.process_time() - began < 2
