"""Stable Diffusion as a generator: an inpainting model with a full mask is the inpainter on a grey picture."""

import pytest
import torch
from trilemma.models.diffusion import samplers
from trilemma.models.files.catalog import starter_folder
from trilemma.models.generators.diffusion.latent_diffusion import TextToImage
from trilemma.models.generators.loading import load_generator
from trilemma.tests.closeness import assert_close, is_close
from trilemma.tests.generators.diffusion import tiny_diffusion as tiny
from trilemma.tests.inpainting import tiny as tiny_inpainter
from trilemma.tests.peak_memory import peak_bytes

pytestmark = pytest.mark.slow

LONG = "a red cat and a blue dog"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The same random networks as an inpainter and as a generator, by autoencoder."""
    pipelines = {vae: tiny_inpainter.pipeline(tmp_path_factory.mktemp("pipeline"), vae=vae) for vae in ("tiny", "kl")}
    return {
        vae: (tiny_inpainter.inpainter_of(made), TextToImage(tiny_inpainter.networks_of(made)))
        for vae, made in pipelines.items()
    }


@pytest.fixture(scope="module")
def starter():
    return load_generator(starter_folder("generator", "starter emoji latent diffusion"))


@pytest.mark.parametrize("vae", ["tiny", "kl"])
def test_agrees_with_the_inpainter_under_a_full_mask(made, vae):
    inpainter, generator = made[vae]
    size = generator.descriptor.height
    grey, full = torch.full((2, size, size, 3), 0.5), torch.ones(2, size, size)
    expected = tiny_inpainter.inpaint(
        inpainter, grey, full, "red cat", "dog", batch_size=2, steps=4, guidance_scale=4.0, seed=7
    )
    bound = tiny.bound(generator, ["red cat"], "dog", steps=4, guidance_scale=4.0)
    assert torch.allclose(tiny.images(bound, 2, seed=7), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("vae", ["tiny", "kl"])
def test_does_not_depend_on_the_batch_size_nor_on_other_prompts(made, vae):
    _, generator = made[vae]
    bound = tiny.bound(generator, ["cat", LONG, ""], sampler="DDIM", eta=0.5, steps=2, guidance_scale=3.0)
    tiny.does_not_depend_on_the_batch(bound, generator.modules[0], tolerance=1e-4)


def test_one_network_call_does_not_depend_on_longer_prompts(made):
    _, generator = made["tiny"]
    unet = generator.modules[0]
    encoded = [generator._encode(text, False) for text in ("cat", LONG)]
    assert len(encoded[1].states) == 2 * len(encoded[0].states)
    latents = torch.randn(2, 9, 16, 16)
    together = unet(latents, 5, **generator._context(encoded)).sample
    alone = unet(latents[:1], 5, **generator._context(encoded[:1])).sample
    assert torch.allclose(together[:1], alone, atol=1e-5, rtol=0)


def test_decoding_the_latents_draws_the_same(made):
    _, generator = made["kl"]
    bound = tiny.bound(generator, ["cat"], steps=2)
    requests = tiny.requests(bound, 2)
    with torch.no_grad():
        latents = generator.latents(requests, bound.settings)
        assert_close(generator.decode(latents, requests, bound.settings), tiny.images(bound, 2))


def test_prompts_and_guidance_matter(made):
    _, generator = made["tiny"]

    def draw(text, negative="", scale=4.0):
        return tiny.images(tiny.bound(generator, [text], negative, steps=2, guidance_scale=scale), 1)

    base = draw("cat", "dog")
    assert not any(is_close(base, other) for other in (draw("red", "dog"), draw("cat", "red"), draw("cat", "dog", 2)))
    assert_close(draw("cat", "dog", 1.0), draw("cat", "red", 1.0))
    calls = [generator.evaluations(tiny.bound(generator, steps=3, guidance_scale=g).settings) for g in (1.0, 4.0)]
    assert calls == [3, 6]


@pytest.mark.parametrize("batch_size", [1, 3, 8])
@pytest.mark.parametrize("which", ["tiny", "kl", "starter"])
def test_memory_is_estimated(made, starter, which, batch_size):
    generator = starter if which == "starter" else made[which][1]
    bound = tiny.bound(generator, ["cat"], steps=1)
    peak = peak_bytes(lambda: tiny.images(bound, batch_size, batch_size=batch_size))
    assert 0.7 <= generator.memory_bytes(batch_size) / peak <= 1.5


def test_the_starter_tells_its_names_and_settings(starter):
    descriptor = starter.descriptor
    assert (descriptor.family, descriptor.height, descriptor.width) == ("diffusion", 64, 64)
    assert len(descriptor.class_names) == 13
    assert descriptor.conditions == ("none", "prompt")
    assert descriptor.options == {
        "sampler": "DDIM",
        "steps": 20,
        "eta": 0.0,
        "guidance_scale": 4.0,
        "spacing": samplers.OWN,
    }


def test_the_starter_does_not_depend_on_the_batch_size(starter):
    tiny.does_not_depend_on_the_batch(tiny.bound(starter, ["a cat", "a pig"], steps=2), starter.modules[0], 1e-3)


def test_the_starter_draws_what_it_is_asked_for(starter):
    """In the middle of a heart there is red, of a tree green, on any ground."""
    drawn = tiny.images(tiny.bound(starter, ["a heart", "a tree"], steps=8), 4)[:, 24:32, 26:38].mean((1, 2))
    for heart, tree in (drawn[:2], drawn[2:]):
        assert heart[0] > 2 * heart[1:].max()
        assert tree[1] > 1.2 * max(tree[0], tree[2])
