"""Random numbers of a run: one CPU generator per sample, so that no sample depends on another or on a device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from .base import Condition, Descriptor, SampleRequest, class_number

SEEDS = 2**64
CUT = 2.0
"""Of truncated normal numbers, in standard deviations."""


def requests(count: int, seed: int, conditions: Sequence[Condition], first: int = 0) -> list[SampleRequest]:
    """The requests `first` to `first + count - 1` of a run: seed + index modulo 2^64, conditions in turn."""
    return [
        SampleRequest(index, (seed + index) % SEEDS, conditions[index % len(conditions)])
        for index in range(first, first + count)
    ]


def generators(requests: Sequence[SampleRequest]) -> list[torch.Generator]:
    """A fresh generator for each sample."""
    return [torch.Generator().manual_seed(request.seed) for request in requests]


def numpy_states(requests: Sequence[SampleRequest]) -> list[np.random.RandomState]:
    """A fresh state of numpy's older generator for each sample, as scripts of published GANs seed it. That takes seeds
    below 2^32; of larger ones both halves count."""
    seeds = [request.seed for request in requests]
    return [np.random.RandomState(seed if seed < 2**32 else [seed % 2**32, seed >> 32]) for seed in seeds]


def normal(
    generators: Sequence[torch.Generator] | Sequence[np.random.RandomState], shape: Sequence[int]
) -> torch.Tensor:
    """Standard normal numbers, float32 [N, *shape], CPU; numpy's are drawn as float64."""
    return torch.stack([_normal(generator, tuple(shape)) for generator in generators])


def _normal(generator: torch.Generator | np.random.RandomState, shape: tuple[int, ...]) -> torch.Tensor:
    if isinstance(generator, np.random.RandomState):
        return torch.from_numpy(generator.standard_normal(shape)).float()
    return torch.randn(shape, generator=generator)


def uniform(
    generators: Sequence[torch.Generator] | Sequence[np.random.RandomState], shape: Sequence[int]
) -> torch.Tensor:
    """Uniform numbers in [0, 1), float64 [N, *shape], CPU."""
    return torch.stack([_uniform(generator, tuple(shape)) for generator in generators])


def _uniform(generator: torch.Generator | np.random.RandomState, shape: tuple[int, ...]) -> torch.Tensor:
    if isinstance(generator, np.random.RandomState):
        return torch.from_numpy(generator.random_sample(shape))
    return torch.rand(shape, generator=generator, dtype=torch.float64)


def truncated_normal(
    generators: Sequence[torch.Generator] | Sequence[np.random.RandomState], shape: Sequence[int]
) -> torch.Tensor:
    """Normal numbers of which only those from -2 to 2 are kept, float32 [N, *shape], CPU.

    The inverse of the distribution function at uniform numbers: with numpy's generators they are those of scipy's
    `truncnorm.rvs(-2, 2, random_state=...)`, whose algorithm was that in 1.3 and is in 1.17.
    """
    low, high = torch.special.ndtr(torch.tensor([-CUT, CUT], dtype=torch.float64))
    shares = uniform(generators, shape)
    return torch.special.ndtri(shares * high + low * (1 - shares)).float()


def labels(
    descriptor: Descriptor, requests: Sequence[SampleRequest], generators: Sequence[torch.Generator]
) -> torch.Tensor:
    """The classes to draw, int64 [N]: the request's own, or one drawn by its generator.

    The generator draws in both cases, so that a condition does not change the noise that follows.
    """
    drawn = [int(torch.randint(descriptor.num_classes, (1,), generator=generator)) for generator in generators]
    given = [request.condition.text for request in requests]
    chosen = [class_number(descriptor, text) if text else label for text, label in zip(given, drawn, strict=True)]
    return torch.tensor(chosen)
