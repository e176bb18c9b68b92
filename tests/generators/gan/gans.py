"""What every GAN must pass, whatever its architecture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from trilemma.models.errors import BadInput
from trilemma.models.generators import binding, loading, noise
from trilemma.models.generators.base import Condition, Generator
from trilemma.models.generators.binding import Bound
from trilemma.tests.closeness import are_distinct, assert_close
from trilemma.tests.peak_memory import peak_bytes

BATCHES = (1, 3, 8)
SEED = 2**64 - 3
"""Seeds of a run go round after the third sample."""


def load(tensors: dict[str, torch.Tensor], folder: Path, metadata: dict[str, str] | None = None) -> Generator:
    """What the pack makes of these tensors, by a safetensors file; one by PyTorch gives the same weights."""
    torch.save(tensors, folder / "model.pt")
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "model.safetensors", metadata)
    generator = loading.load_generator(folder / "model.safetensors")
    again = loading.load_generator(folder / "model.pt")
    assert again.identity == generator.identity
    for name, value in again.modules[0].state_dict().items():
        assert torch.equal(value, generator.modules[0].state_dict()[name]), name
    return generator


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


def check_memory(generator: Generator) -> None:
    """The estimate lies within 0.7 to 1.5 times of the tensors alive at the peak of drawing."""
    settings = Bound(generator).settings
    for size in BATCHES:
        requests = noise.requests(size, 0, [Condition()])
        with torch.no_grad():
            peak = peak_bytes(lambda: generator.draw(requests, settings, lambda done, preview: None))  # noqa: B023
        assert 0.7 * peak <= generator.memory_bytes(size) <= 1.5 * peak, (size, peak, generator.memory_bytes(size))


def check_identity(generator: Generator) -> None:
    """Latents of other weights are refused."""
    requests = noise.requests(1, 0, [Condition()])
    settings = Bound(generator).settings
    latents = generator.latents(requests, settings)
    with pytest.raises(BadInput, match="other weights"):
        generator.decode(latents._replace(identity="another"), requests, settings)


def check_steps(generator: Generator) -> None:
    """Every batch reports its one step, with a preview."""
    seen = []
    bound = Bound(generator)
    for _ in binding.sample(bound, 5, 0, 3, lambda done, preview: seen.append((done, preview.shape))):
        pass
    described = generator.descriptor
    shape = (described.height, described.width, 3)
    assert seen == [(3, shape), (5, shape)]
    assert binding.total_steps(bound, 5) == 5
