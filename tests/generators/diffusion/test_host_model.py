"""The adapter over a host's sampling, with plain functions in the host's place; `tests/comfyui` has the host's own."""

import pytest
import torch
from trilemma.models.errors import CannotDo
from trilemma.models.generators import binding, noise
from trilemma.models.generators.base import Condition, Descriptor
from trilemma.models.generators.diffusion.host_model import HostModel
from trilemma.models.steps import quiet
from trilemma.nodes.generate_sources import GeneratorFromCheckpoint
from trilemma.tests.closeness import assert_close

SHAPE = (4, 2, 3)


def denoise(start, seeds, steps, guidance_scale, on_step):
    for step in range(1, steps + 1):
        on_step(step, None)
    return start * guidance_scale / steps


def decode(latents):
    return (latents / 4 + 0.5).clamp(0, 1).movedim(1, -1)[..., :3]


@pytest.fixture
def generator():
    options = {"steps": 4, "guidance_scale": 2.0}
    descriptor = Descriptor("diffusion", "SD15", 2, 3, 3, 10, latent_shape=SHAPE, options=options)
    return HostModel(descriptor, denoise, decode, lambda batch_size: 100 * batch_size, "abc")


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_noise_is_each_samples_own(generator, batch_size):
    batches = list(binding.sample(binding.Bound(generator), 8, 5, batch_size))
    images = torch.cat([batch.images for batch in batches])
    own = noise.normal(noise.generators(noise.requests(8, 5, [Condition()])), SHAPE)
    assert_close(images, decode(own * 2.0 / 4))
    assert generator.memory_bytes(batch_size) == 100 * batch_size


def test_options_reach_the_host(generator):
    bound = binding.Bound(generator).with_options("diffusion", {"steps": 2, "guidance_scale": 3.0})
    seen = []
    (batch,) = binding.sample(bound, 1, 0, 1, lambda done, preview: seen.append(done))
    assert_close(batch.images, decode(generator.latents(batch.requests, {}).values * 3.0 / 2))
    assert seen == [1, 2]
    assert binding.total_steps(bound, 10) == 20
    with pytest.raises(CannotDo, match="eta: SD15 has no such option"):
        bound.with_options("diffusion", {"eta": 0.5})


def test_latents_lead_to_the_same_picture(generator):
    requests = noise.requests(2, 9, [Condition()])
    settings = generator.descriptor.options
    start = generator.latents(requests, settings)
    assert_close(generator.decode(start, requests, settings), generator.draw(requests, settings, quiet))
    assert start.identity == "abc"


def test_prompts_belong_into_the_conditioning(generator):
    with pytest.raises(CannotDo, match="SD15 takes none"):
        binding.Bound(generator).with_conditions([Condition("a cat")])


def test_alone_the_node_says_that_it_needs_comfyui():
    inputs = GeneratorFromCheckpoint.INPUT_TYPES()["required"]
    assert "euler_ancestral" in inputs["sampler_name"][0]
    assert "karras" in inputs["scheduler"][0]
    with pytest.raises(CannotDo, match="model: only ComfyUI samples its models"):
        GeneratorFromCheckpoint().run(object(), [], [], object(), 64, 64, "euler", "normal", 20, 8.0)
