"""Principal components of w (GANSpace; Härkönen et al. 2020, arXiv:2004.02546)."""

from __future__ import annotations

import math

import torch

from ...errors import BadInput, CannotDo
from ...steps import OnStep, quiet
from .. import noise
from ..binding import Bound
from .base import Directions
from .factorisation import signed

BATCH = 1000
"""Latents that are drawn at once: w of this many and all layers are some megabytes."""


def components(bound: Bound, count: int, samples: int, seed: int = 0, on_step: OnStep = quiet) -> Directions:
    """The first `count` principal components of as many w as `samples`, `pca 1 (12.3 % of variance)` and so on.

    Strength 1 is one standard deviation. w are drawn as samples are, of seed + i and by the conditions in turn, and
    not truncated. on_step: counts them.

    Raises:
        CannotDo: the generator's latents are the Gaussian itself, which varies alike in all directions.
        BadInput: fewer samples than it takes, or fewer directions.
    """
    generator = bound.generator
    architecture = generator.descriptor.architecture
    space = next(iter(generator.spaces), None)
    if space is None or space.name == "z":
        raise CannotDo(
            f"generator: latents of {architecture} are drawn from a Gaussian, which has no principal components; take "
            "the method sefa, or a StyleGAN."
        )
    part = space.shape[1:] if space.layers else space.shape
    size = math.prod(part)
    if count > size:
        raise BadInput(f"count: {count}, but latents of {architecture} have {size} directions.")
    if samples <= count:
        raise BadInput(f"samples: {samples} w span fewer than {count} directions; draw more, or ask for fewer.")
    total = torch.zeros(size, dtype=torch.float64)
    products = torch.zeros(size, size, dtype=torch.float64)
    for start in range(0, samples, BATCH):
        requests = noise.requests(min(BATCH, samples - start), seed, bound.conditions, start)
        with torch.no_grad():
            drawn = generator.latents(requests, bound.settings).values
        rows = (drawn[:, 0] if space.layers else drawn).flatten(1).double()
        total += rows.sum(dim=0)
        products += rows.T @ rows
        on_step(start + len(rows), None)
    mean = total / samples
    covariance = (products - samples * mean.outer(mean)) / (samples - 1)
    variances, vectors = torch.linalg.eigh(covariance)
    shares = variances.flip(0).clamp(min=0)
    names = tuple(
        f"pca {number} ({100 * share:.1f} % of variance)"
        for number, share in enumerate((shares / shares.sum())[:count].tolist(), 1)
    )
    scaled = signed(vectors.flip(1).T[:count]) * shares[:count, None].sqrt()
    return Directions(names, scaled.float().reshape(count, *part), space.name, (), generator.identity)
