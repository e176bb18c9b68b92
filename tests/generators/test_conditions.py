"""What several nodes give a generator to draw from, joined."""

import pytest
import torch
from trilemma.models.errors import BadInput, CannotDo
from trilemma.models.generators import noise
from trilemma.models.generators.base import Condition, Descriptor
from trilemma.models.generators.conditions import check_given, image_conditions, joined, vector_conditions
from trilemma.models.generators.given import Given


def pictures(count: int) -> torch.Tensor:
    return torch.rand(count, 2, 3, 4, generator=torch.Generator().manual_seed(count))


def test_equal_numbers_are_equal_however_they_came() -> None:
    values = torch.rand(2, 3, 3)
    one, same = Given(values), Given(values.double())
    assert one == same and hash(one) == hash(same) and one.digest == same.digest
    assert one != Given(values.reshape(3, 2, 3)) and one != Given(values + 1e-6)
    assert Given(values[0, 0], ("a", "b")) != Given(values[0, 0], ("a", "c"))


def test_a_condition_keeps_its_own_copy() -> None:
    values = torch.zeros(1, 1, 3)
    given = Given(values)
    values += 1
    assert given.values.sum() == 0


def test_each_kind_takes_its_turn() -> None:
    texts = [Condition("a", "x"), Condition("b", "x")]
    images = image_conditions(pictures(3), 1)
    both = joined(texts, images)
    assert both == tuple(Condition("ab"[i % 2], "x", images[i % 3].images) for i in range(6))
    assert joined(images, texts) == both
    assert joined(both, [Condition("c")]) == tuple(Condition("c", "", each.images) for each in images)
    assert joined(both, images[:1]) == tuple(each._replace(images=images[0].images) for each in texts)
    drawn = noise.requests(4, 0, both, 5)
    assert [each.condition for each in drawn] == [both[5], both[0], both[1], both[2]]


def test_vectors_join_as_images_do() -> None:
    vectors = [Condition(vector=Given(torch.ones(4) * i)) for i in range(2)]
    assert joined([Condition("a")], vectors) == tuple(each._replace(text="a") for each in vectors)


def test_texts_alone_stay_as_they_are() -> None:
    texts = [Condition("1"), Condition("1")]
    assert joined((Condition(),), texts) == tuple(texts)


def test_images_are_shared_out_in_order() -> None:
    found = image_conditions(pictures(4), 2)
    assert [len(each.images) for each in found] == [2, 2]
    assert torch.equal(found[1].images[0].values, pictures(4)[2, ..., :3])
    with pytest.raises(BadInput, match=r"images: 4 of them .* images_per_sample = 3"):
        image_conditions(pictures(4), 3)


def test_numbers_that_never_meet_are_refused() -> None:
    texts = [Condition(str(i)) for i in range(1009)]
    vectors = [Condition(vector=Given(torch.ones(1) * i)) for i in range(1013)]
    with pytest.raises(BadInput, match="1,022,117"):
        joined(texts, vectors)


def test_what_is_told_is_told_as_before_where_there_is_only_text() -> None:
    (image,) = image_conditions(pictures(1), 1)
    assert Condition("a", "b").told() == ["a", "b"]
    assert image.told() == ["", "", [image.images[0].digest]]
    vector = Given(torch.ones(2))
    assert Condition("a", vector=vector).told() == ["a", "", [], vector.digest]


@pytest.mark.parametrize(
    ("kinds", "per_sample", "refused"),
    [
        (("none", "class"), 1, "images: toy draws from no images; it takes: none, class."),
        (("image",), 1, ""),
        (("image",), 2, "images: toy takes one for each sample, not 2."),
        (("images",), 2, ""),
    ],
)
def test_models_say_how_many_images_they_take(kinds: tuple[str, ...], per_sample: int, refused: str) -> None:
    descriptor = Descriptor("gan", "toy", 8, 8, 3, 1, conditions=kinds)  # pyright: ignore[reportArgumentType]
    (condition,) = image_conditions(pictures(per_sample), per_sample)
    if not refused:
        return check_given(descriptor, condition)
    with pytest.raises(CannotDo) as caught:
        check_given(descriptor, condition)
    assert str(caught.value) == refused


def test_models_that_take_no_vector_say_so() -> None:
    descriptor = Descriptor("gan", "toy", 8, 8, 3, 1, conditions=("class",))
    with pytest.raises(CannotDo, match="vector: toy draws from no features"):
        check_given(descriptor, Condition(vector=Given(torch.ones(2))))


def test_vectors_of_another_length_are_refused() -> None:
    descriptor = Descriptor("gan", "toy", 8, 8, 3, 1, conditions=("vector",), vector_size=3, vector_of="a network")
    check_given(descriptor, Condition(vector=Given(torch.ones(3))))
    with pytest.raises(BadInput, match="draws from 3 features of a network, and these are 2 of another; take the"):
        check_given(descriptor, Condition(vector=Given(torch.ones(2), ("another", "0"))))


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_vectors_that_tell_nothing_are_refused(value: float) -> None:
    vectors = torch.ones(2, 3)
    assert [each.vector for each in vector_conditions(vectors, ("a",))] == [Given(torch.ones(3), ("a",))] * 2
    vectors[1] = value
    with pytest.raises(BadInput, match="features: those of number 2 are all 0, or not all numbers"):
        vector_conditions(vectors, ())
