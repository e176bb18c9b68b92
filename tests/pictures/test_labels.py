"""Labels with and without article and case."""

import pytest
import torch
from trilemma.models.pictures.boxes import per_image
from trilemma.models.pictures.labels import bare
from trilemma.models.pictures.objects import select
from trilemma.models.pictures.packed import pack
from trilemma.models.values import Objects, SegmentedObject


@pytest.mark.parametrize(
    ("label", "plain"),
    [
        ("a mushroom", "mushroom"),
        ("Mushroom", "mushroom"),
        ("An  Apple.", "apple"),
        ("the red mushroom", "red mushroom"),
        ("a", "a"),
        ("antelope", "antelope"),
        ("", ""),
    ],
)
def test_labels_lose_article_and_case(label, plain):
    assert bare(label) == plain


@pytest.mark.parametrize("asked", ["mushroom", "a mushroom", "The Mushroom", "MUSHROOM"])
@pytest.mark.parametrize("named", ["a mushroom", "mushroom", "A Mushroom"])
def test_objects_are_found_by_them(asked, named):
    mask = pack(torch.ones(4, 4, dtype=torch.bool))
    items = tuple(SegmentedObject(0, (0, 0, 4, 4), label, 0.9, mask) for label in (named, "a cat"))
    kept = select(Objects(items, 1, 4, 4), labels=(asked,))
    assert [item.label for item in kept.objects] == [named]


def test_boxes_of_no_pixels_are_no_objects():
    none, box = ({"x": 3, "y": 2, "width": side, "height": side} for side in (0, 5))
    assert per_image(none, 2) == [[], []]
    assert per_image([none, box], 1) == [[box]]
    assert per_image([[none], [box, none]], 2) == [[], [box]]
