"""What every GAN must pass beyond the common tests, whatever its architecture."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.generators import binding, noise
from trilemma.models.generators.base import Condition, Generator
from trilemma.models.generators.binding import Bound
from trilemma.tests.closeness import are_distinct, assert_close
from trilemma.tests.families.kinds import SEED
from trilemma.tests.generators.vae.autoencoders import load

__all__ = ["SEED", "load"]

BATCHES = (1, 3, 8)


def check_batches(generator: Generator, options: dict[str, Any] | None = None) -> torch.Tensor:
    """Latents bit-identical and pictures within 1e-5, whatever the batch size; sample i depends on seed + i alone.
    Decoding the latents of a sample draws it again. Returns eight pictures."""
    bound = Bound(generator, options or {})
    latents, images = [], []
    for size in BATCHES:
        batches = list(binding.sample(bound, 8, SEED, size))
        images.append(torch.cat([batch.images for batch in batches]))
        latents.append(latents_of(bound, [request for batch in batches for request in batch.requests], size))
    described = generator.descriptor
    assert images[0].shape == (8, described.height, described.width, 3)
    assert images[0].dtype == torch.float32
    assert images[0].min() >= 0 and images[0].max() <= 1
    assert are_distinct(images[0])
    for other_latents, other_images in zip(latents[1:], images[1:], strict=True):
        torch.testing.assert_close(other_latents, latents[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(other_images, images[0], atol=1e-5, rtol=0)
    (alone,) = binding.sample(bound, 1, (SEED + 5) % 2**64, 1)
    assert_close(alone.images[0], images[0][5])
    requests = noise.requests(8, SEED, bound.conditions)
    with torch.no_grad():
        decoded = generator.decode(generator.latents(requests, bound.settings), requests, bound.settings)
    torch.testing.assert_close(decoded, images[0], atol=1e-5, rtol=0)
    return images[0]


def latents_of(bound: Bound, requests: list, size: int) -> torch.Tensor:
    with torch.no_grad():
        parts = [
            bound.generator.latents(requests[start : start + size], bound.settings).values
            for start in range(0, len(requests), size)
        ]
    return torch.cat(parts)


def check_identity(generator: Generator) -> None:
    """Latents of other weights are refused."""
    requests = noise.requests(1, 0, [Condition()])
    settings = Bound(generator).settings
    latents = generator.latents(requests, settings)
    with pytest.raises(BadInput, match="other weights"):
        generator.decode(latents._replace(identity="another"), requests, settings)
