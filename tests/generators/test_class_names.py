"""Classes that conditions name."""

import pytest
from trilemma.models.errors import BadInput
from trilemma.models.generators.base import Descriptor, class_number


def descriptor(*names, classes=0):
    return Descriptor("gan", "toy", 4, 4, 3, 1, num_classes=classes or len(names), class_names=names)


@pytest.mark.parametrize("text", ["mushroom", "a mushroom", "The Mushroom", " A  mushroom. ", "1"])
def test_article_and_case_do_not_matter(text):
    assert class_number(descriptor("a cat", "a mushroom"), text) == 1


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), "has no class 'dog'; give a number from 0 to 1."),
        (("cat", "bee"), "has no class 'dog'; give one of cat, bee, or a number from 0 to 1."),
    ],
)
def test_what_can_be_given_is_told_once(names, said):
    with pytest.raises(BadInput, match=said):
        class_number(descriptor(*names, classes=2), "dog")


def test_a_name_counts_as_it_is_written():
    garments = descriptor("Cardigan", "cardigan")
    assert [class_number(garments, text) for text in ("Cardigan", " cardigan ", "a CARDIGAN")] == [0, 1, 0]


def test_of_many_names_the_nearest_are_told():
    many = descriptor(*(f"thing {number}" for number in range(200)), "tabby", "tiger cat")
    with pytest.raises(
        BadInput, match=r"one of its 202 names, of which the nearest are tabby, .*, or a number from 0 "
    ):
        class_number(many, "tabbi")
