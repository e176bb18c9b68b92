"""Denoising diffusion GANs beside the numbers of their authors' code, what their files tell, and how they step."""

import json
import math

import pytest
import torch
from trilemma.models.errors import BadCheckpoint, BadInput
from trilemma.models.files import groups
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.generators import binding, noise
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.diffusion import denoising_diffusion_gan
from trilemma.models.generators.diffusion.denoising_diffusion_gan import layouts, memory, process
from trilemma.models.generators.diffusion.denoising_diffusion_gan.network import DenoisingGenerator, Sizes
from trilemma.models.generators.loading import load_generator
from trilemma.models.random_weights import random_weights
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close, is_close
from trilemma.tests.peak_memory import peak_bytes

SYSTEM = "denoising_diffusion_gan"
SMALL = Sizes(16, (16, 32), 1, (False, True), z_dim=10, styles=16, mappings=1)


@pytest.mark.slow
@torch.no_grad()
def test_it_answers_as_its_reference(tmp_path):
    """The whole published file, wrapped as it is: clean pictures of the noisy ones of times 0 and 3."""
    case = reference_kit.case(SYSTEM)
    torch.save(reference_kit.weights(case), tmp_path / "netG_1200.pth")
    generator = load_generator(tmp_path / "netG_1200.pth")
    described = generator.descriptor
    assert (described.height, described.width, described.parameters) == (32, 32, 48_432_515)
    assert generator.evaluations({}) == 4
    given = {name: torch.from_numpy(value) for name, value in reference_kit.inputs(case).items()}
    print(reference_kit.compare(case, {"x0_pred": generator.network(given["x"], given["t"], given["z"])}))


def test_every_tensor_of_the_published_file_is_accounted_for():
    tensors = groups.stripped(
        {entry.name: torch.empty(entry.shape, device="meta") for entry in reference_kit.manifest(SYSTEM)}
    )
    assert denoising_diffusion_gan.detect(Checkpoint(tensors, {}))
    sizes = layouts.sizes_of(tensors)
    assert sizes == layouts.CIFAR10
    with torch.device("meta"):
        network = DenoisingGenerator(sizes)
    assert {name: value.shape for name, value in network.state_dict().items()} == {
        name: value.shape for name, value in tensors.items()
    }


@pytest.mark.parametrize("attended", [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("sizes", [layouts.CELEBA_HQ, SMALL, SMALL._replace(blocks=3, colours=1, mappings=0)])
def test_shapes_tell_the_network(sizes, attended):
    """Built anew, it tells the same."""
    sizes = sizes._replace(attended=(attended * 3)[: len(sizes.widths)])
    with torch.device("meta"):
        tensors = DenoisingGenerator(sizes).state_dict()
    assert layouts.sizes_of(tensors) == sizes


def test_what_shapes_do_not_tell():
    """Of the published files as their commands have it, of others by the flags of a training; LSUN's churches have the
    shapes of CelebA-HQ, and four steps."""
    assert layouts.told(layouts.CIFAR10, {}, "file") == (32, 4)
    assert layouts.told(layouts.CELEBA_HQ, {}, "file") == (256, 2)
    assert layouts.told(layouts.CELEBA_HQ, {"num_timesteps": 4}, "file") == (256, 4)
    assert layouts.told(SMALL, {"num_timesteps": 3}, "file") == (32, 3)
    assert layouts.told(SMALL._replace(attended=(False, False)), {"num_timesteps": 3, "image_size": 64}, "") == (64, 3)


def test_an_unknown_layout_asks_for_its_flags(tmp_path):
    file, config = tmp_path / "netG_9.pth", tmp_path / "config.json"
    torch.save({f"module.{name}": value for name, value in random_weights(DenoisingGenerator(SMALL)).items()}, file)
    with pytest.raises(BadCheckpoint, match=r"netG_9\.pth, denoising diffusion GAN: .*config\.json.*: num_timesteps\."):
        load_generator(file)
    for flags in ({"num_timesteps": 0}, {"num_timesteps": "many"}, {"num_timesteps": 4, "image_size": 33}):
        config.write_text(json.dumps(flags))
        with pytest.raises(BadCheckpoint, match=r"its configuration says num_timesteps .* and image_size "):
            load_generator(file)
    config.write_text(json.dumps({"num_timesteps": 3, "image_size": 16}))
    generator = load_generator(file)
    assert (generator.descriptor.height, generator.evaluations({})) == (16, 3)
    assert [each.name for each in generator.files] == ["netG_9.pth", "config.json"]


def test_a_network_of_score_sde_is_another(tmp_path):
    """The same U-Net without a latent foresees a score; its file is refused by its name."""
    tensors = DenoisingGenerator(SMALL).state_dict()
    torch.save({name: value for name, value in tensors.items() if "z_transform" not in name}, tmp_path / "x.pth")
    with pytest.raises(BadCheckpoint, match="a U-Net of score_sde"):
        load_generator(tmp_path / "x.pth")


def test_noise_grows_as_in_the_continuous_process():
    """The signal's share of the variance: the exponential of minus the integral of beta, which rises from 0.1 to 20,
    here summed up in small steps. It begins behind the first thousandth."""
    steps = process.steps_of(4)
    for place, step in enumerate(steps):
        first, last = 1e-3, 1e-3 + (1 - 1e-3) * (place + 1) / 4
        times = torch.linspace(first, last, 100_001, dtype=torch.float64)
        integral = torch.trapezoid(0.1 + times * 19.9, times)
        assert step.after == pytest.approx(float(torch.exp(-integral)), rel=1e-6)
        assert step.before == (steps[place - 1].after if place else 1)


def test_a_step_draws_from_the_posterior():
    """Bayes' rule, on a grid of one number: what was there before the noise of a step, given both ends."""
    clean, noisy = 0.4, -0.7
    grid = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    for step in process.steps_of(4)[1:]:
        kept = step.after / step.before
        prior = (grid - math.sqrt(step.before) * clean) ** 2 / (1 - step.before)
        likelihood = (noisy - math.sqrt(kept) * grid) ** 2 / (1 - kept)
        weights = torch.softmax(-(prior + likelihood) / 2, dim=0)
        mean = float((weights * grid).sum())
        assert step.clean * clean + step.noisy * noisy == pytest.approx(mean, abs=1e-6)
        assert step.deviation == pytest.approx(float((weights * (grid - mean) ** 2).sum()) ** 0.5, abs=1e-6)
    first = process.steps_of(4)[0]
    assert (first.clean, first.noisy, first.deviation) == pytest.approx((1, 0, 0))


def small(tmp_path, **told) -> Bound:
    return Bound(load_generator(_written(tmp_path, **told)))


def _written(tmp_path, **told):
    torch.save(random_weights(DenoisingGenerator(SMALL)), tmp_path / "model.pth")
    (tmp_path / "config.json").write_text(json.dumps({"num_timesteps": 4, "image_size": 16, **told}))
    return tmp_path / "model.pth"


@torch.no_grad()
def test_a_sample_is_drawn_as_the_reference_draws_a_batch_of_one(tmp_path):
    """Its random numbers, in its order: pictures, then of each step a latent and the noise of the posterior."""
    bound = small(tmp_path)
    network, (batch,) = bound.generator.network, binding.sample(bound, 1, 23, 1)
    numbers = torch.Generator().manual_seed(23)
    x = torch.randn(1, 3, 16, 16, generator=numbers)
    for time, step in list(enumerate(process.steps_of(4)))[::-1]:
        clean = network(x, torch.tensor([time]), torch.randn(1, 10, generator=numbers))
        x = step.clean * clean + step.noisy * x + step.deviation * torch.randn(1, 3, 16, 16, generator=numbers)
    assert_close(batch.images, (x / 2 + 0.5).clamp(0, 1).movedim(1, -1))


@torch.no_grad()
def test_latents_are_the_first_noise_and_all_else_is_of_the_seed(tmp_path):
    generator = small(tmp_path).generator
    requests = noise.requests(2, 5, (Condition(),))
    drawn = generator.draw(requests, {}, lambda done, preview=None: None)
    latents = generator.latents(requests, {})
    assert_close(generator.decode(latents, requests, {}), drawn)
    others = noise.requests(2, 900, (Condition(),))
    assert not is_close(generator.decode(latents, others, {}), drawn, 1e-2)
    assert not is_close(generator.decode(generator.latents(others, {}), requests, {}), drawn, 1e-2)
    first, last = (latents._replace(values=latents.values[place : place + 1]) for place in (0, 1))
    between = generator.interpolate(first, last, (0.0, 0.5, 1.0)).values
    assert_close(between[[0, 2]], latents.values)
    with pytest.raises(BadInput, match="it belongs to another model"):
        generator.decode(latents._replace(identity="other"), requests, {})


def test_a_long_step_is_stopped_within(tmp_path, monkeypatch):
    bound = small(tmp_path)
    monkeypatch.setattr("trilemma.models.steps.HEARD_EVERY", 0.0)
    told = []

    def stop(done, preview=None):
        told.append(done)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        next(binding.sample(bound, 1, 0, 1, stop))
    assert told == [0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sizes", "side"),
    [
        (Sizes(32, (32, 64, 64), 2, (False, True, False)), 32),
        (Sizes(32, (32, 32, 64, 64), 1, (False, False, True, False)), 64),
    ],
)
def test_memory_is_foreseen_of_other_shapes(sizes, side):
    network = DenoisingGenerator(sizes).requires_grad_(False)
    x, time, z = torch.randn(2, 3, side, side), torch.tensor([1]), torch.randn(2, 100)
    peak = peak_bytes(lambda: network(x, time, z))
    assert 0.7 <= 4 * 2 * memory.peak_floats(sizes, side) / peak <= 1.5
