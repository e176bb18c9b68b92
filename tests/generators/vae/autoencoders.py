"""What every autoencoder must pass, whatever its architecture."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from trilemma.models.generators import binding, loading, noise
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.vae.autoencoder import Autoencoder
from trilemma.models.generators.vae.priors import STANDARD
from trilemma.tests.closeness import are_distinct, assert_close
from trilemma.tests.peak_memory import peak_bytes

BATCHES = (1, 3, 8)
SEED = 2**64 - 3
"""Seeds of a run go round after the third sample."""


def random_weights(module: torch.nn.Module, seed: int = 0) -> dict[str, torch.Tensor]:
    """A state dict of a module whose every number is random, norms' statistics too."""
    rng = torch.Generator().manual_seed(seed)
    return {
        name: value if value.dtype == torch.int64 else _random(name, value, rng)
        for name, value in module.state_dict().items()
    }


def _random(name: str, value: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    drawn = torch.randn(value.shape, generator=rng)
    if value.ndim > 1:
        return drawn * value[0].numel() ** -0.5
    return 1 + 0.1 * drawn.abs() if name.endswith(("weight", "running_var")) else 0.1 * drawn


def load(tensors: dict[str, torch.Tensor], folder: Path, metadata: dict[str, str] | None = None) -> Autoencoder:
    """What the pack makes of these tensors, by a PyTorch file and by a safetensors file, which must be the same."""
    torch.save(tensors, folder / "model.pt")
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "model.safetensors", metadata)
    generator = loading.load_generator(folder / "model.safetensors")
    if metadata is None:
        assert loading.load_generator(folder / "model.pt").identity == generator.identity
    assert generator.descriptor.parameters == sum(p.numel() for p in generator.modules[0].parameters())
    return generator


def of_side(generator: Autoencoder, side: int) -> Autoencoder:
    """The same, drawing small pictures by default."""
    described = generator.descriptor
    shape = (described.latent_shape[0], *(side // described.size_multiple,) * 2)
    generator.descriptor = replace(described, height=side, width=side, latent_shape=shape)
    return generator


def settings(generator: Autoencoder) -> dict:
    """Those under which every autoencoder draws."""
    return {**generator.descriptor.options, "prior": STANDARD}


def check_batches(generator: Autoencoder) -> None:
    """Latents bit-identical and pictures within 1e-5, whatever the batch size; and both of sample i of seed + i."""
    bound = Bound(generator, {"prior": STANDARD})
    latents, images = [], []
    for size in BATCHES:
        batches = list(binding.sample(bound, 8, SEED, size))
        images.append(torch.cat([batch.images for batch in batches]))
        latents.append(torch.cat([generator.latents(batch.requests, bound.settings).values for batch in batches]))
    described = generator.descriptor
    assert images[0].shape == (8, described.height, described.width, 3)
    assert images[0].dtype == torch.float32
    assert images[0].min() >= 0 and images[0].max() <= 1
    assert are_distinct(images[0])
    for other_latents, other_images in zip(latents[1:], images[1:], strict=True):
        assert torch.equal(other_latents, latents[0])
        assert torch.allclose(other_images, images[0], atol=1e-5, rtol=0)
    (alone,) = binding.sample(bound, 1, (SEED + 5) % 2**64, 1)
    assert_close(alone.images[0], images[0][5])


def check_memory(generator: Autoencoder) -> None:
    """The estimate lies within 0.7 to 1.5 times of the tensors alive at the peak of drawing."""
    chosen = settings(generator)
    for size in BATCHES:
        requests = noise.requests(size, 0, [Condition()])
        with torch.no_grad():
            generator.draw(requests, chosen, lambda done, preview: None)
            peak = peak_bytes(lambda: generator.draw(requests, chosen, lambda done, preview: None))  # noqa: B023
        assert 0.7 * peak <= generator.memory_bytes(size) <= 1.5 * peak, (size, peak, generator.memory_bytes(size))


def pictures(count: int, side: int, seed: int = 0) -> torch.Tensor:
    """Smooth random pictures, float32 [count, side, side, 3], 0..1."""
    coarse = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear").permute(0, 2, 3, 1).contiguous()


def real_weights(name: str) -> Path:
    """A published file in the folder that TRILEMMA_REAL_WEIGHTS names; skips the test where it is not."""
    folder = os.environ.get("TRILEMMA_REAL_WEIGHTS")
    if not folder or not (Path(folder) / name).is_file():
        pytest.skip(f"{name} is not there: set TRILEMMA_REAL_WEIGHTS to the folder of published weights")
    return Path(folder) / name
