"""The starter files of codes: each sample is its own, whatever its batch, and of the class that is asked for."""

import pytest
import torch
from trilemma.models.files import catalog
from trilemma.models.generators import binding, noise
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.loading import load_generator
from trilemma.tests import peak_memory

pytestmark = pytest.mark.slow

NAMES = [f"starter emoji vqvae {name}" for name in ("features", "pixelcnn", "rowlstm", "transformer")]
COUNT = 8


@pytest.fixture(scope="module", params=NAMES)
def bound(request) -> Bound:
    return Bound(load_generator(catalog.starter_folder("generator", request.param)))


@torch.no_grad()
def test_a_sample_does_not_depend_on_its_batch(bound: Bound):
    """Neither its codes, told by their vectors, nor what they decode to."""
    wanted, generator, settings = noise.requests(COUNT, 100, bound.conditions), bound.generator, bound.settings
    vectors, images = [], []
    for size in (COUNT, 3, 1):
        parts = [wanted[start : start + size] for start in range(0, COUNT, size)]
        drawn = [generator.latents(part, settings) for part in parts]
        vectors.append(torch.cat([latents.values for latents in drawn]))
        pictures = [generator.decode(*pair, settings) for pair in zip(drawn, parts, strict=True)]
        images.append(torch.cat(pictures))
    for other in (1, 2):
        assert torch.equal(vectors[other], vectors[0])
        assert torch.allclose(images[other], images[0], rtol=0, atol=1e-3)


@torch.no_grad()
def test_pictures_agree_with_their_class(bound: Bound):
    """Pumpkins are orange: more red than blue, where they are not ground."""
    images = next(binding.sample(bound.with_conditions([Condition("pumpkin")]), COUNT, 0, COUNT)).images
    centre = images[:, 12:20, 12:20].mean(dim=(0, 1, 2))
    assert centre[0] > centre[2] + 0.3


@pytest.mark.parametrize("count", [1, 2, 4])
@torch.no_grad()
def test_memory_is_foreseen(bound: Bound, count: int):
    peak = peak_memory.peak_bytes(lambda: next(binding.sample(bound, count, 0, count)))
    assert 0.7 < bound.generator.memory_bytes(count) / peak < 1.5
