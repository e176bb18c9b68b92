"""Single files of Stable Diffusion 1.x base models as generators, of the least size, with random weights."""

import math
from dataclasses import replace

import pytest
import torch
from trilemma.models.diffusion import original_layout
from trilemma.models.generators.loading import load_generator
from trilemma.tests.closeness import is_close
from trilemma.tests.diffusion import published_layout as layout
from trilemma.tests.generators.diffusion import tiny_diffusion as tiny

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("channels", [4, 9])
def test_a_file_draws(tmp_path, channels):
    path = tmp_path / "v1-5-pruned-emaonly.safetensors"
    shapes = original_layout.weights(original_layout.TINY._replace(channels=channels))
    layout.write_random_half(path, shapes | layout.buffers())
    generator = load_generator(path, lambda parameters: torch.bfloat16)
    path.unlink()
    descriptor = generator.descriptor
    assert descriptor.architecture == "Stable Diffusion 1.x"
    assert (descriptor.height, descriptor.latent_shape) == (512, (4, 64, 64))
    assert descriptor.parameters == sum(map(math.prod, shapes.values()))
    assert descriptor.conditions == ("none", "prompt")
    # A picture of the native 512 px takes a while on the CPU.
    generator.descriptor = replace(descriptor, height=64, width=64, latent_shape=(4, 8, 8))
    pictures = tiny.images(tiny.bound(generator, ["a cat", ""], steps=1, guidance_scale=1.0), 2)
    assert pictures.shape == (2, 64, 64, 3)
    assert bool(torch.isfinite(pictures).all())
    assert float(pictures.std()) > 0.01
    assert not is_close(pictures[0], pictures[1])
