"""Single files of Stable Diffusion 1.x base models as generators, at full size, with random weights."""

from dataclasses import replace

import torch
from trilemma.models.generators.loading import load_generator
from trilemma.tests.closeness import is_close
from trilemma.tests.diffusion import published_layout as layout
from trilemma.tests.generators.diffusion import tiny_diffusion as tiny


def test_a_full_size_file_draws(tmp_path):
    path = tmp_path / "v1-5-pruned-emaonly.safetensors"
    layout.write_random_half(path, layout.weights(channels=4) | layout.buffers())
    generator = load_generator(path, lambda parameters: torch.bfloat16)
    path.unlink()
    descriptor = generator.descriptor
    assert descriptor.architecture == "Stable Diffusion 1.x"
    assert (descriptor.height, descriptor.latent_shape) == (512, (4, 64, 64))
    assert descriptor.parameters == 1_066_249_707 - 5 * 320 * 3 * 3
    assert descriptor.conditions == ("none", "prompt")
    # The networks are the full ones; the picture is small, for a picture of 512 px takes minutes here.
    generator.descriptor = replace(descriptor, height=64, width=64, latent_shape=(4, 8, 8))
    pictures = tiny.images(tiny.bound(generator, ["a cat", ""], steps=1, guidance_scale=1.0), 2)
    assert pictures.shape == (2, 64, 64, 3)
    assert bool(torch.isfinite(pictures).all())
    assert float(pictures.std()) > 0.01
    assert not is_close(pictures[0], pictures[1])
