"""Conditions as users give them: a class or prompt to a line, images, and what is given by several nodes joined."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import torch

from ..errors import BadInput, CannotDo
from ..texts import check_characters
from .base import Condition, Descriptor
from .given import Given

EVERY_CLASS = "*"
MOST: Final = 1_000_000
"""Joined conditions before they repeat."""


def read_conditions(descriptor: Descriptor, text: str, negative: str = "") -> list[Condition]:
    """One condition per line that is not blank; a line `*` stands for every class of the model, in order.

    A negative prompt goes with each, and alone makes one condition; without both there is none.

    Raises:
        BadInput: half a character. CannotDo: `*` for a model without classes.
    """
    check_characters("text", text)
    check_characters("negative_prompt", negative)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    texts = [each for line in lines for each in (_every_class(descriptor) if line == EVERY_CLASS else [line])]
    if not texts and negative.strip():
        texts = [""]
    return [Condition(each, negative.strip()) for each in texts]


def _every_class(descriptor: Descriptor) -> list[str]:
    if not descriptor.num_classes:
        raise CannotDo(
            f"text: {EVERY_CLASS} stands for every class, but {descriptor.architecture} has none; write what to draw."
        )
    return list(descriptor.class_names) or [str(number) for number in range(descriptor.num_classes)]


def image_conditions(images: torch.Tensor, per_sample: int) -> list[Condition]:
    """Conditions of images [N, H, W, C], C of 3 or 4 (alpha is left out), `per_sample` of them for each, in order.

    Raises:
        BadInput: they cannot be shared out so.
    """
    if not len(images) or per_sample < 1 or len(images) % per_sample:
        raise BadInput(
            f"images: {len(images)} of them cannot be shared out by images_per_sample = {per_sample}; give a multiple."
        )
    given = [Given(image[..., :3]) for image in images]
    return [Condition(images=tuple(given[at : at + per_sample])) for at in range(0, len(given), per_sample)]


def vector_conditions(vectors: torch.Tensor, source: tuple[str, ...]) -> list[Condition]:
    """Conditions of vectors [N, D], one for each. source: see `Given`.

    Raises:
        BadInput: a number is none, or all of a vector are 0, which has no direction.
    """
    for place, vector in enumerate(vectors):
        if not bool(torch.isfinite(vector).all()) or not bool(vector.any()):
            raise BadInput(
                f"features: those of number {place + 1} are all 0, or not all numbers; connect other pictures or "
                "another network."
            )
    return [Condition(vector=Given(vector, source)) for vector in vectors]


def joined(before: Sequence[Condition], now: Sequence[Condition]) -> tuple[Condition, ...]:
    """What was given before with what is given now: of texts, images and vectors, the new ones take the place of the
    old of their kind. Sample i takes entry i of each kind, the first again after the last.

    Raises:
        BadInput: the kinds' numbers meet again only after more than MOST.
    """
    texts = _newest([_text(each) for each in before], [_text(each) for each in now], Condition())
    images = _newest([each.images for each in before], [each.images for each in now], ())
    vectors = _newest([each.vector for each in before], [each.vector for each in now], None)
    count = math.lcm(len(texts), len(images), len(vectors))
    if count > MOST:
        raise BadInput(
            f"condition: {len(texts)} texts, {len(images)} groups of images and {len(vectors)} vectors taken in turn "
            f"repeat only after {count:,}; give as many of one as of the other."
        )
    return tuple(
        texts[i % len(texts)]._replace(images=images[i % len(images)], vector=vectors[i % len(vectors)])
        for i in range(count)
    )


def check_takes_features(descriptor: Descriptor) -> None:
    """Raise CannotDo where a model draws from no vectors."""
    if "vector" not in descriptor.conditions:
        raise CannotDo(
            f"vector: {descriptor.architecture} draws from no features; it takes: {', '.join(descriptor.conditions)}."
        )


def check_given(descriptor: Descriptor, condition: Condition) -> None:
    """Raise CannotDo where the model takes no images, not several, or no vector, and they are given; BadInput for a
    vector of another length than its own."""
    kinds, name = descriptor.conditions, descriptor.architecture
    if condition.images and "image" not in kinds and "images" not in kinds:
        raise CannotDo(f"images: {name} draws from no images; it takes: {', '.join(kinds)}.")
    if len(condition.images) > 1 and "images" not in kinds:
        raise CannotDo(f"images: {name} takes one for each sample, not {len(condition.images)}.")
    if condition.vector is None:
        return
    check_takes_features(descriptor)
    size, source = len(condition.vector.values), condition.vector.source
    if size != descriptor.vector_size:
        of = f" of {descriptor.vector_of}" if descriptor.vector_of else ""
        by = f" of {source[0]}" if source else ""
        raise BadInput(
            f"vector: {name} draws from {descriptor.vector_size} features{of}, and these are {size}{by}; take the "
            "network that it was trained with."
        )


def _text(condition: Condition) -> Condition:
    return Condition(condition.text, condition.negative)


def _newest(before: list[Any], now: list[Any], nothing: Any) -> list[Any]:
    """What is given now, else what was before, which may have been repeated to be joined."""
    return now if any(each != nothing for each in now) else before[: _period(before)]


def _period(values: Sequence[Any]) -> int:
    """After how many they repeat."""
    count = len(values)
    return next(
        size
        for size in range(1, count + 1)
        if count % size == 0 and all(values[at] == values[at % size] for at in range(count))
    )
