"""A generator with what the user has set on it: the value that travels between nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from ..errors import BadInput
from ..steps import OnStep, quiet
from . import noise
from .base import Condition, FamilyName, Generator, SampleRequest
from .conditions import check_given, joined
from .options import checked


class Bound(NamedTuple):
    """A generator, the options that differ from its own defaults, and the conditions that its samples take in turn."""

    generator: Generator
    options: Mapping[str, Any] = {}
    conditions: tuple[Condition, ...] = (Condition(),)

    def with_options(self, family: FamilyName, values: Mapping[str, Any]) -> Bound:
        """The same with further options of a family; neutral values leave what was set before.

        Raises:
            CannotDo, BadInput: see `options.checked`.
        """
        return self._replace(options={**self.options, **checked(self.generator.descriptor, family, values)})

    def with_conditions(self, conditions: Sequence[Condition]) -> Bound:
        """The same, drawing these conditions in turn, with those of other kinds that were given before.

        Raises:
            CannotDo, BadInput: the generator cannot draw one of them.
        """
        if not conditions:
            raise BadInput("condition: it is empty; write one class or prompt to a line.")
        for condition in conditions:
            check_given(self.generator.descriptor, condition)
            self.generator.check_condition(condition)
        return self._replace(conditions=joined(self.conditions, conditions))

    @property
    def settings(self) -> dict[str, Any]:
        """Every option of the generator: the user's value, or the model's own."""
        return {**self.generator.descriptor.options, **self.options}


class Batch(NamedTuple):
    """Consecutive samples of a run. images: float32 [N, H, W, 3], 0..1, CPU."""

    requests: tuple[SampleRequest, ...]
    images: torch.Tensor


def sample(
    bound: Bound, count: int, seed: int, batch_size: int, on_step: OnStep = quiet, first: int = 0
) -> Iterator[Batch]:
    """Samples `first` to `first + count - 1` of the run with this seed, batch by batch.

    Sample i depends on seed + i alone. Only one batch is held at a time. on_step: called with the steps done, of
    `total_steps`, and now and then with a preview [H, W, 3].

    Raises:
        BadInput: count or batch size below 1.
    """
    for name, value in (("num_images", count), ("batch_size", batch_size)):
        if value < 1:
            raise BadInput(f"{name}: {value} is below the least possible, 1.")
    generator, settings = bound.generator, bound.settings
    evaluations = generator.evaluations(settings)
    for start in range(0, count, batch_size):
        size = min(batch_size, count - start)
        wanted = noise.requests(size, seed, bound.conditions, first + start)

        def report(step: int, preview: torch.Tensor | None = None, start: int = start, size: int = size) -> None:
            on_step(start * evaluations + size * step, preview)

        with torch.no_grad():
            images = generator.draw(wanted, settings, report)
        yield Batch(tuple(wanted), images)


def total_steps(bound: Bound, count: int) -> int:
    """What `sample` counts its steps up to."""
    return count * bound.generator.evaluations(bound.settings)
