"""Conditions as users write them: one class or prompt to a line."""

from __future__ import annotations

from ..errors import CannotDo
from .base import Condition, Descriptor

EVERY_CLASS = "*"


def read_conditions(descriptor: Descriptor, text: str, negative: str = "") -> list[Condition]:
    """One condition per line that is not blank; a line `*` stands for every class of the model, in order.

    A negative prompt goes with each, and alone makes one condition; without both there is none.

    Raises:
        CannotDo: `*` for a model without classes.
    """
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
