"""Priors over latents: what an autoencoder is sampled from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import torch

from .. import noise

STANDARD: Final = "standard normal"
GAUSSIAN: Final = "fitted Gaussian"
MIXTURE: Final = "Gaussian mixture"
FITTED: Final = (GAUSSIAN, MIXTURE)


class Prior(NamedTuple):
    """A mixture of K Gaussians over latents of D numbers each; K is 1 for a single one.

    kind: STANDARD, GAUSSIAN, MIXTURE, or what else the model calls its own. shape: of a latent.
    weights: float64 [K], sum 1. means: float64 [K, D].
    factors: float64 [K, D], deviations, or [K, D, D], lower Cholesky factors of the covariances.
    identity: of the weights whose latents these are. images: number of those it was fitted to; 0 where it was not.
    """

    kind: str
    shape: tuple[int, ...]
    weights: torch.Tensor
    means: torch.Tensor
    factors: torch.Tensor
    identity: str
    images: int = 0

    def __str__(self) -> str:
        components = f" of {len(self.weights)} components" if len(self.weights) > 1 else ""
        return f"{self.kind}{components}" + (f", over {self.images} images" if self.images else "")

    @property
    def mean(self) -> torch.Tensor:
        """The centre, float32 [1, *shape]."""
        return (self.weights @ self.means).float().reshape(1, *self.shape)

    def choose(self, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """A component for each sample by its weight, int64 [N]."""
        drawn = noise.uniform(generators, ())
        return torch.searchsorted(self.weights.cumsum(0), drawn, right=True).clamp(max=len(self.weights) - 1)

    def place(self, normals: torch.Tensor, components: torch.Tensor, temperature: float) -> torch.Tensor:
        """Latents, float32 [N, *shape], from standard normal numbers of that shape and each sample's component.

        temperature: factor of the deviations.
        """
        placed = []
        for normal, component in zip(normals.flatten(1).double(), components.tolist(), strict=True):
            factor = self.factors[component]
            spread = factor @ normal if factor.ndim == 2 else factor * normal
            placed.append(self.means[component] + temperature * spread)
        return torch.stack(placed).float().reshape(-1, *self.shape)


def standard_normal(shape: Sequence[int], identity: str) -> Prior:
    """The prior that a VAE is trained towards (Kingma 2014)."""
    size = torch.Size(shape).numel()
    return diagonal(STANDARD, shape, torch.zeros(1, size), torch.ones(1, size), identity)


def diagonal(kind: str, shape: Sequence[int], means: torch.Tensor, deviations: torch.Tensor, identity: str) -> Prior:
    """Equally likely Gaussians with independent numbers; means, deviations: [K, D]."""
    weights = torch.full((len(means),), 1 / len(means), dtype=torch.float64)
    return Prior(kind, tuple(shape), weights, means.double().cpu(), deviations.double().cpu(), identity)
