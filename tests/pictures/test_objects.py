"""Objects selected, listed and turned into masks."""

import sys

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.pictures import objects
from trilemma.models.pictures.packed import pack
from trilemma.models.values import Objects, SegmentedObject

HEIGHT, WIDTH = 20, 30


def make(frame, label, score, x, y, width, height):
    mask = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    mask[y : y + height, x : x + width] = True
    return SegmentedObject(frame, (x, y, width, height), label, score, pack(mask))


CAT = make(0, "cat", 0.9, 1, 1, 4, 5)
DOG = make(0, "a red dog", 0.4, 3, 3, 10, 10)
SMALL_CAT = make(2, "Cat", 0.6, 0, 0, 2, 2)
NOTHING = make(2, "cat", 0.2, 5, 5, 0, 0)
ALL = Objects((CAT, DOG, SMALL_CAT, NOTHING), 3, HEIGHT, WIDTH)
NONE = ALL._replace(objects=())


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        ({}, (CAT, DOG, SMALL_CAT, NOTHING)),
        ({"labels": ["CAT"]}, (CAT, SMALL_CAT, NOTHING)),
        ({"labels": ["dog"]}, ()),
        ({"labels": ["cat", "A red dog"], "min_score": 0.4}, (CAT, DOG, SMALL_CAT)),
        ({"max_score": 0.6}, (DOG, SMALL_CAT, NOTHING)),
        ({"min_area": 1}, (CAT, DOG, SMALL_CAT)),
        ({"min_area": 4, "max_area": 20}, (CAT, SMALL_CAT)),
        ({"indices": (range(0, 1),)}, (CAT, SMALL_CAT)),
        ({"indices": (range(1, 5),)}, (DOG, NOTHING)),
        ({"indices": (range(0, 1),), "labels": ["a red dog"]}, ()),
    ],
)
def test_select(filters, kept):
    assert objects.select(ALL, **filters) == ALL._replace(objects=kept)


@pytest.mark.parametrize(
    ("text", "found"),
    [("", []), (" ", []), ("3", [3]), ("0, 2-4", [0, 2, 3, 4]), ("1,,2 - 2,", [1, 2])],
)
def test_read_indices(text, found):
    assert [i for span in objects.read_indices(text) for i in span] == found


@pytest.mark.parametrize("text", ["a", "-1", "4-2", "1.5", "1 2", "0, x"])
def test_bad_indices(text):
    with pytest.raises(BadInput, match="indices: expected numbers and rising ranges"):
        objects.read_indices(text)


def test_huge_ranges_cost_nothing():
    assert objects.select(ALL, indices=objects.read_indices("0-999999999999")) == ALL


def test_read_labels():
    assert objects.read_labels(" a cat, dog\n\nred car ,") == ("a cat", "dog", "red car")


def test_boxes():
    assert [len(frame) for frame in objects.boxes(ALL)] == [2, 0, 2]
    assert objects.boxes(ALL)[0][0] == {"x": 1, "y": 1, "width": 4, "height": 5, "label": "cat", "score": 0.9}
    assert objects.boxes(NONE) == [[], [], []]


def test_report():
    lines = objects.report(ALL).splitlines()
    assert lines[0] == "image 0, object 0: cat, score 0.90, area 20 px, box 4 x 5 at 1, 1"
    assert lines[3].startswith("image 2, object 1: cat, score 0.20, area 0 px")
    assert objects.report(NONE) == "no objects in 3 images"
    assert objects.report(NONE._replace(frames=1)) == "no objects in 1 image"


def test_union():
    masks = objects.union(ALL)
    assert masks.dtype == torch.float32
    assert masks.shape == (3, HEIGHT, WIDTH)
    assert masks.sum(dim=(1, 2)).tolist() == [20 + 100 - 2 * 3, 0, 4]
    assert objects.union(NONE).shape == (3, HEIGHT, WIDTH)


def test_separate():
    masks, frames = objects.separate(ALL)
    assert masks.sum(dim=(1, 2)).tolist() == [20, 100, 4, 0]
    assert frames == [0, 0, 2, 2]


def test_without_objects_there_is_one_empty_mask():
    masks, frames = objects.separate(NONE)
    assert masks.shape == (1, HEIGHT, WIDTH)
    assert not masks.any()
    assert frames == [0]


def bytes_in(value):
    """What a value holds, tensors by their storage."""
    if isinstance(value, torch.Tensor):
        return value.untyped_storage().nbytes()
    if isinstance(value, tuple):
        return sys.getsizeof(value) + sum(map(bytes_in, value))
    return sys.getsizeof(value)


def test_200_objects_of_4096_pixels_fit_into_a_gigabyte():
    side = 4096
    full = torch.ones(side, side, dtype=torch.bool)
    full[::2, ::2] = False
    found = tuple(SegmentedObject(0, (0, 0, side, side), "cat", 0.5, pack(full)) for _ in range(4))
    assert 200 * bytes_in(Objects(found, 1, side, side)) / 4 < 2**30
