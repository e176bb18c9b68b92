"""Numbers and JSON as users write them, which Python reads in its own way, or not at all."""

import pytest
from trilemma.models.detection.dropping import read_numbers
from trilemma.models.errors import BadInput, MissingFile
from trilemma.models.generators import records
from trilemma.models.generators.base import number_of_class
from trilemma.models.generators.diffusion.adm.process import respaced
from trilemma.models.pictures import boxes
from trilemma.models.scoring import scores
from trilemma.models.scoring.literature import tables
from trilemma.models.scoring.verification import records as metadata
from trilemma.models.texts import parsed_json, whole_number

DEEP = "[" * 200_000
LONG = "9" * 5000


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("007", 7), ("0" * 5000 + "7", 7), (str(2**64), 2**64), ("٣", 3), ("000", 0)],
)
def test_whole_numbers(text, number):
    assert whole_number(text) == number


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "²", "1_0", " 1", "9" * 21, LONG])
def test_what_is_no_whole_number(text):
    assert whole_number(text) is None


@pytest.mark.parametrize("text", [DEEP, LONG, "", "{"])
def test_what_is_no_json_is_one_kind_of_error(text):
    with pytest.raises(ValueError, match=r"."):
        parsed_json(text)


@pytest.mark.parametrize(
    "read",
    [
        lambda text: records.from_json(text, 1),
        metadata.read,
        tables.read_own,
        scores.from_json,
        lambda text: read_numbers(text, None),
    ],
)
def test_json_that_is_too_deep_is_told(read):
    with pytest.raises(BadInput, match="too deep in each other"):
        read(DEEP)


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (lambda text: number_of_class(text, (), 10, "condition: it"), "condition: it has no class '9{60}'"),
        (lambda text: respaced(1000, text), "respacing: '9{60}' is none of"),
        (lambda text: respaced(1000, f"ddim{text}"), "respacing: 'ddim9{56}' is none of"),
    ],
)
def test_a_number_of_too_many_digits_is_told(read, said):
    with pytest.raises(BadInput, match=said):
        read(LONG)


@pytest.mark.parametrize("name", ["x", "width"])
def test_a_box_of_a_number_beyond_floats_is_told(name):
    with pytest.raises(BadInput, match="a box needs numbers"):
        boxes.per_image({"x": 1, "y": 1, "width": 2, "height": 2, name: 10**400}, 1)


def test_a_score_of_a_box_beyond_floats_is_told():
    with pytest.raises(BadInput, match="the score of a box"):
        boxes.per_image({"x": 1, "y": 1, "width": 2, "height": 2, "score": 10**400}, 1)


@pytest.mark.parametrize("kind", [BadInput, MissingFile])
def test_a_message_keeps_both_ends_of_a_line_that_nobody_reads(kind):
    said = str(kind(f"seeds: {'x' * 10_000} is none.\nWrite another."))
    assert said.startswith("seeds: xxx") and said.endswith("xxx is none.\nWrite another.")
    assert max(map(len, said.split("\n"))) == 2005
