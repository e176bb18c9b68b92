"""Which latent numbers of a VAE move its pictures: the relevance of ARD-VAE (Saha, Joshi and Whitaker 2025,
arXiv:2501.10901), for any VAE.

A number is relevant as far as it varies over images and as far as the decoder heeds it: its second moment times the
sum, over the values of a picture, of the squared mean slope. Variance alone misses numbers that the decoder ignores.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch

from ...generators.base import Condition, Generator, Latents, Posterior, SampleRequest
from ...steps import OnStep

IMAGES: Final = 8
"""Pictures whose slopes are averaged."""
MOST: Final = 1024
"""Latent numbers of a model up to which slopes are taken, one pass for each."""
DERIVATIVES: Final = 11
"""Of the memory of decoding, what is alive with the derivatives of derivatives; measured, 2 to 11 times."""
PERCENT: Final = 99.0
"""Of all relevance, what the relevant numbers have together."""
SEED: Final = 0


class Relevance(NamedTuple):
    """Of each of D latent numbers, float64 [D].

    moment: its mean square over images, less the prior's mean. slope: see `slopes`.
    """

    moment: torch.Tensor
    slope: torch.Tensor

    @property
    def values(self) -> torch.Tensor:
        """Relevance of each number, float64 [D]."""
        return self.moment * self.slope

    @property
    def shares(self) -> torch.Tensor:
        """Percent that the most relevant numbers have together: of the first, of the first two, ..."""
        ordered = self.values.sort(descending=True).values.cumsum(0)
        return 100 * ordered / ordered[-1]

    def count(self, percent: float = PERCENT) -> int:
        """How many numbers it takes to have more than so much of all relevance; at least 1."""
        return min(len(self.moment), int((self.shares <= percent).sum()) + 1)

    def relevant(self, percent: float = PERCENT) -> list[int]:
        """Which numbers these are, in their own order."""
        return sorted(self.values.argsort(descending=True, stable=True)[: self.count(percent)].tolist())


class Moments:
    """Adds up the posteriors of batches of images, and keeps latents of the first IMAGES."""

    def __init__(self) -> None:
        self._count = 0
        self._squares: torch.Tensor | None = None
        self._noise = torch.Generator().manual_seed(SEED)
        self._kept: list[torch.Tensor] = []

    def add(self, posterior: Posterior) -> None:
        """Count the images of one batch."""
        mean, log_variance, prior_mean, _ = posterior
        away = (mean - prior_mean).flatten(1).double()
        squares = (away.square() + log_variance.flatten(1).double().exp()).sum(dim=0)
        self._squares = squares if self._squares is None else self._squares + squares
        self._count += len(mean)
        wanted = IMAGES - len(self._kept)
        for each, spread in zip(mean[:wanted], log_variance[:wanted], strict=True):
            self._kept.append(each + (spread / 2).exp() * torch.randn(each.shape, generator=self._noise))

    @property
    def moment(self) -> torch.Tensor:
        """Mean squares so far, float64 [D]."""
        assert self._squares is not None
        return self._squares / self._count

    @property
    def latents(self) -> torch.Tensor:
        """One draw from the posterior of each of the first images, [n, ...]."""
        return torch.stack(self._kept)


def passes(generator: Generator) -> int:
    """Steps that `slopes` counts: one for each latent number; 0 where none are taken."""
    numbers = math.prod(generator.descriptor.latent_shape or (0,))
    return numbers if generator.varies and numbers <= MOST else 0


def slopes_bytes(generator: Generator) -> int:
    """Memory that `slopes` takes at most, for IMAGES latents."""
    return DERIVATIVES * generator.memory_bytes(IMAGES) if passes(generator) else 0


def slopes(generator: Generator, latents: torch.Tensor, on_step: OnStep) -> torch.Tensor:
    """How strongly the decoder heeds each latent number, float64 [D]; see `strength`.

    latents: [n, ...], of the generator's space. The networks must lie on one device. Also runs in a graph's inference
    mode. on_step: called with the passes done.
    """
    space = generator.spaces[0].name
    requests = [SampleRequest(number, number, Condition()) for number in range(len(latents))]
    found = []
    # A tensor that inference mode has made takes part in no derivative; a copy made outside does.
    with torch.inference_mode(False), torch.enable_grad():
        values = latents.clone().requires_grad_()
        pictures = generator.render(Latents(values, space, generator.identity), (), requests, {})
        # Derivatives backwards are linear in what comes in, and the derivative of that leads forwards.
        weighed = torch.zeros_like(pictures, requires_grad=True)
        (backwards,) = torch.autograd.grad(pictures, values, weighed, create_graph=True)
        for number in range(values[0].numel()):
            direction = torch.zeros_like(values)
            direction.flatten(1)[:, number] = 1
            (slope,) = torch.autograd.grad(backwards, weighed, direction, retain_graph=True)
            found.append(strength(slope.flatten(1)[..., None])[0].cpu())
            on_step(number + 1)
    return torch.stack(found)


def strength(jacobian: torch.Tensor) -> torch.Tensor:
    """The sum over outputs of the squared mean, over images, of the absolute derivative: [n, outputs, D] to float64
    [D]."""
    return jacobian.double().abs().mean(dim=0).square().sum(dim=0)
