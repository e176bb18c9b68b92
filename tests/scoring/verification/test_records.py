"""Records of prompts: the published form, the shipped sets, and what is said of others."""

import json

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.scoring.verification import records
from trilemma.models.scoring.verification.records import Record, Unwanted, Wanted
from trilemma.nodes.detect import LoadDetector

PUBLISHED = """\
{"tag": "two_object", "include": [{"class": "bench", "count": 1}, {"class": "sports ball", "count": 1}], "prompt": "a photo of a bench and a sports ball"}
{"tag": "counting", "include": [{"class": "clock", "count": 2}], "exclude": [{"class": "clock", "count": 3}], "prompt": "a photo of two clocks"}
{"tag": "position", "include": [{"class": "teddy bear", "count": 1}, {"class": "dog", "count": 1, "position": ["right of", 0]}], "prompt": "a photo of a dog right of a teddy bear"}
{"tag": "color_attr", "include": [{"class": "wine glass", "count": 1, "color": "purple"}, {"class": "apple", "count": 1, "color": "black"}], "prompt": "a photo of a purple wine glass and a black apple"}
"""  # noqa: E501


def test_the_published_form_is_read():
    assert records.read(PUBLISHED) == (
        Record(
            "two_object", (Wanted("bench", 1), Wanted("sports ball", 1)), (), "a photo of a bench and a sports ball"
        ),
        Record("counting", (Wanted("clock", 2),), (Unwanted("clock", 3),), "a photo of two clocks"),
        Record(
            "position",
            (Wanted("teddy bear", 1), Wanted("dog", 1, "", "right of", 0)),
            (),
            "a photo of a dog right of a teddy bear",
        ),
        Record(
            "color_attr",
            (Wanted("wine glass", 1, "purple"), Wanted("apple", 1, "black")),
            (),
            "a photo of a purple wine glass and a black apple",
        ),
    )


@pytest.mark.parametrize(
    "text",
    [
        PUBLISHED.replace("\n", "\r\n\r\n"),
        "\ufeff" + PUBLISHED,
        json.dumps([json.loads(line) for line in PUBLISHED.splitlines()], indent=2),
    ],
    ids=["other line ends", "byte order mark", "a list"],
)
def test_other_ways_to_write_it(text):
    assert records.read(text) == records.read(PUBLISHED)
    assert records.is_text(text)


def test_what_is_written_is_what_was_published():
    assert [json.loads(line) for line in records.write(records.read(PUBLISHED)).splitlines()] == [
        json.loads(line) for line in PUBLISHED.splitlines()
    ]


def test_a_file_is_no_text():
    assert not records.is_text("evaluation_metadata.jsonl")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ("", "metadata: it is empty"),
        ("a cat", "metadata: line 1 is no JSON"),
        ("3", "record 1: expected an object"),
        ({"tag": "style"}, "record 1: its tag is 'style', which is none of single_object, two_object"),
        ({"tag": ["counting"]}, r"record 1: its tag is \['counting'\]"),
        ({"include": [{"class": "cat", "count": 17}]}, "the count of cat is 17; of a class 16 objects are seen"),
        ({"exclude": [{"class": "cat", "count": 17}]}, "exclude 0: the count of cat is 17"),
        ({"include": []}, r"record 1: include is \[\]"),
        ({"include": ["cat"]}, "include 0: expected a class with its count, found 'cat'"),
        ({"include": [{"class": "cat, dog", "count": 1}]}, "its class is 'cat, dog'; give one phrase"),
        ({"include": [{"class": "cat:2", "count": 1}]}, "its class is 'cat:2'; how many there shall be"),
        ({"include": [{"class": " ", "count": 1}]}, "its class is ' '"),
        ({"include": [{"class": "cat", "count": 0}]}, "the count of cat is 0; give a whole number from 1"),
        ({"include": [{"class": "cat", "count": True}]}, "the count of cat is True"),
        ({"include": [{"class": "cat", "count": 1, "color": "mauve"}]}, "the colour 'mauve' is none of red, orange"),
        (
            {"include": [{"class": "cat", "count": 1, "position": ["left of", 0]}]},
            "include 0: its position is relative",
        ),
        ({"include": [{"class": "cat", "count": 1, "position": ["near", 0]}]}, "its position is .'near', 0."),
        ({"exclude": "dog"}, "exclude is 'dog'"),
        ({"exclude": [{"count": 2}]}, "exclude 0: its class is None"),
        ({"prompt": ""}, "its prompt is ''"),
    ],
)
def test_what_is_wrong_is_named(changed, said):
    whole = {"tag": "counting", "include": [{"class": "cat", "count": 2}], "prompt": "two cats"}
    text = changed if isinstance(changed, str) else json.dumps({**whole, **changed})
    with pytest.raises(BadInput, match=said):
        records.read(text)


@pytest.mark.parametrize("end", ["\u2028", "\x85", "\x0b", "\x1c"])
def test_what_prompt_set_writes_is_read_whatever_ends_of_lines_a_prompt_holds(end):
    whole = {"tag": "counting", "include": [{"class": "cat", "count": 2}], "prompt": f"two{end}cats"}
    found = records.read(json.dumps([whole, whole]))
    assert [record.prompt for record in found] == [f"two{end}cats"] * 2
    assert records.read(records.write(found)) == found


def test_kinds_are_chosen():
    found = records.read(PUBLISHED)
    assert [record.tag for record in records.of_kinds(found, "position, counting")] == ["counting", "position"]
    assert records.of_kinds(found, "") == found
    with pytest.raises(BadInput, match="kinds: there is no 'place'; choose among single_object"):
        records.of_kinds(found, "place")
    with pytest.raises(BadInput, match="kinds: no prompt of the set is of colors"):
        records.of_kinds(found, "colors")


def test_pictures_take_the_records_in_turn():
    found = records.read(PUBLISHED)
    pictures, asked = records.matched(torch.zeros(6, 2, 2, 3), found)
    assert len(pictures) == 6 and asked == (*found, *found[:2])
    pictures, asked = records.matched(torch.zeros(1, 2, 2, 3), found)
    assert len(pictures) == 4 and asked == found
    with pytest.raises(BadInput, match="images: 3 for 4 prompts"):
        records.matched(torch.zeros(3, 2, 2, 3), found)


@pytest.mark.slow
@pytest.mark.parametrize("name", records.SHIPPED)
def test_shipped_sets_have_all_kinds_in_names_that_the_starter_knows(name):
    found = records.shipped(name)
    assert {record.tag for record in found} == {*records.KINDS}
    (detector,) = LoadDetector().run("starter emoji detector")
    assert {each for record in found for each in record.classes} <= {*detector.model.class_names}
    for record in found:
        assert all(word in record.prompt for each in record.include for word in (each.colour, each.relation))
