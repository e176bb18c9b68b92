"""Projection: the published recipe, pictures found again, independence of batches, steps and memory."""

import math

import pytest
import torch
from torch import nn
from trilemma.models.errors import CannotDo
from trilemma.models.files import catalog
from trilemma.models.generators import noise
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.directions.editing import edit
from trilemma.models.generators.directions.factorisation import factorise
from trilemma.models.generators.gan.stylegan1.generator import StyleGAN1Generator
from trilemma.models.generators.gan.stylegan1.network import Sizes as SizesOf1
from trilemma.models.generators.gan.stylegan1.network import StyleGAN1
from trilemma.models.generators.gan.stylegan2.generator import StyleGAN2Generator
from trilemma.models.generators.gan.stylegan2.network import Sizes as SizesOf2
from trilemma.models.generators.gan.stylegan2.network import StyleGAN2
from trilemma.models.generators.gan.stylegan3.design import Sizes as SizesOf3
from trilemma.models.generators.gan.stylegan3.generator import StyleGAN3Generator
from trilemma.models.generators.gan.stylegan3.network import StyleGAN3
from trilemma.models.generators.loading import load_generator
from trilemma.models.generators.projection import projecting
from trilemma.models.generators.projection.distances import pyramid
from trilemma.models.generators.projection.projecting import START_STEPS, project, report, start_of
from trilemma.tests.closeness import assert_close
from trilemma.tests.generators.directions.small import PLAIN, STYLED, TEXT, decoded, drawn, tiny
from trilemma.tests.generators.toy import Toy
from trilemma.tests.peak_memory import peak_bytes

pytestmark = pytest.mark.slow

ALL = [*STYLED, *PLAIN, *TEXT]
UNLIKE = ("stylegan3", "DF-GAN", "SSA-GAN")
"""Whose small networks hold other shares of their memory than published ones: margins of a canvas, few blocks."""
FEW = 2000
"""Samples of the mean where it is of no matter."""


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(projecting, "SAMPLES", FEW)
    monkeypatch.setattr(projecting, "START_STEPS", FEW // projecting.BATCH)


def requests(count, seed=0):
    return noise.requests(count, seed, [Condition()])


def bound_of(name, folder):
    return Bound(tiny(name, folder), {"noise_mode": "none"} if name in ("stylegan1", "stylegan2") else {})


@pytest.mark.parametrize("name", ALL)
def test_what_is_rendered_is_what_is_decoded(name, tmp_path):
    bound = bound_of(name, tmp_path)
    generator, settings = bound.generator, bound.settings
    latents = generator.settled(drawn(generator, 3), settings)
    with torch.no_grad():
        rendered = generator.render(latents, (), requests(3), settings)
    assert rendered.shape == (3, generator.descriptor.channels, generator.descriptor.height, generator.descriptor.width)
    images = rendered.clamp(0, 1).movedim(1, -1)
    assert_close(images.expand(-1, -1, -1, 3), decoded(generator, latents, **bound.options))


@pytest.mark.parametrize("name", [*STYLED, *PLAIN])
def test_derivatives_are_those_of_the_pictures(name, tmp_path):
    """By central differences along a line, of a network in float64; so short a line that hardly a leaky ReLU has its
    bend on it."""
    random = torch.Generator().manual_seed(7)
    bound = bound_of(name, tmp_path)
    generator, settings = bound.generator, bound.settings
    latents = generator.settled(drawn(generator, 1), settings)
    generator.network.double()
    values = latents.values.double().requires_grad_()
    weights = torch.randn(generator.descriptor.height, dtype=torch.float64, generator=random)

    def loss(values):
        return (generator.render(latents._replace(values=values), (), requests(1), settings) * weights).sum()

    (found,) = torch.autograd.grad(loss(values), values)
    way = torch.randn(values.shape, dtype=torch.float64, generator=random)
    with torch.no_grad():
        step = 1e-8
        expected = (loss(values + step * way) - loss(values - step * way)) / (2 * step)
    torch.testing.assert_close((found * way).sum(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["stylegan1", "stylegan2"])
def test_noise_is_rendered_where_it_is_given(name, tmp_path):
    generator = tiny(name, tmp_path)
    settings = Bound(generator, {"noise_mode": "const"}).settings
    latents = drawn(generator, 1)
    sides = generator.noise_sides(settings)
    maps = [each for each in generator.network.const_noise() if each is not None]
    maps = maps[::2] if len(sides) < len(maps) else maps
    assert tuple(each.shape[-1] for each in maps) == sides
    with torch.no_grad():
        rendered = generator.render(latents, maps, requests(1), settings)
        without = generator.render(latents, (), requests(1), settings)
    assert_close(rendered.clamp(0, 1).movedim(1, -1), decoded(generator, latents, noise_mode="const"))
    assert not torch.allclose(rendered, without, atol=1e-4)
    assert generator.noise_sides({**settings, "noise_mode": "none"}) == ()


def test_mean_and_spread_are_those_of_drawn_latents(tmp_path):
    for name in ("stylegan2", "mlp_gan"):
        generator = tiny(name, tmp_path)
        start = start_of(Bound(generator))
        w = drawn(generator, 10_000, 123).values
        w = w[:, 0] if name == "stylegan2" else w
        torch.testing.assert_close(start.mean.values.reshape(-1, w.shape[1])[0], w.mean(dim=0), rtol=1e-4, atol=1e-6)
        expected = (w - w.mean(dim=0)).square().sum(dim=1).mean().sqrt()
        assert start.spread == pytest.approx(float(expected), rel=1e-4)


def published(generator, settings, target, start, steps, seed):
    """StyleGAN2's projector as the paper's appendix D tells it, by torch's Adam; w [w_dim]."""
    stream = torch.Generator().manual_seed(seed)
    sides = generator.noise_sides(settings)
    noises = [torch.randn(1, side, side, generator=stream)[None].requires_grad_() for side in sides]
    w = start.mean.values[:, :1].clone().requires_grad_()
    optimiser = torch.optim.Adam([w, *noises], betas=(0.9, 0.999))
    for step in range(steps):
        t = step / steps
        ramp = min(1, (1 - t) / 0.25)
        ramp = (0.5 - 0.5 * math.cos(ramp * math.pi)) * min(1, t / 0.05)
        optimiser.param_groups[0]["lr"] = 0.1 * ramp
        strength = start.spread * 0.05 * max(0, 1 - t / 0.75) ** 2
        noised = w + strength * torch.randn(1, generator.network.w_dim, generator=stream)
        made = generator.network(noised.repeat(1, generator.network.num_ws, 1), noises)
        loss = pyramid((made + 1) / 2, target)[0]
        for noise_map in noises:
            plane = noise_map[0, 0]
            while True:
                loss = loss + 1e5 * (plane * torch.roll(plane, 1, 1)).mean() ** 2
                loss = loss + 1e5 * (plane * torch.roll(plane, 1, 0)).mean() ** 2
                if len(plane) <= 8:
                    break
                plane = nn.functional.avg_pool2d(plane[None, None], 2)[0, 0]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            for noise_map in noises:
                noise_map -= noise_map.mean()
                noise_map *= noise_map.square().mean().rsqrt()
    return w.detach()[0, 0]


def test_it_is_the_published_recipe(tmp_path, few):
    generator = tiny("stylegan2", tmp_path)
    bound = Bound(generator, {"noise_mode": "const"})
    start = start_of(bound)._replace(spread=3.0)
    target = decoded(generator, edit(generator, start.mean, factorise(generator, 1), [0], [2.0], "", bound.settings))
    found = project(bound, target, requests(1, 7), start, pyramid, 25, 1)
    expected = published(generator, bound.settings, target.movedim(-1, 1), start, 25, 7)
    assert (found.latents.space, found.latents.values.shape) == ("w+", (1, 6, 6))
    assert torch.equal(found.latents.values[0], found.latents.values[0, :1].expand(6, -1))
    torch.testing.assert_close(found.latents.values[0, 0], expected, rtol=0, atol=2e-3)
    assert (expected - start.mean.values[0, 0]).abs().max() > 0.3


def unlearned(name):
    """A StyleGAN with the weights that training begins with, whose pictures vary, unlike those of the tiny ones."""
    torch.manual_seed(0)
    if name == "stylegan3":
        made = StyleGAN3(SizesOf3(8, 0, 8, 2, 16, 3, (12, 12, 12, 8, 8), 3, False))
        return StyleGAN3Generator("StyleGAN3", made.eval().requires_grad_(False), (), "x")
    if name == "stylegan2":
        made = StyleGAN2(SizesOf2(8, 0, 8, 2, (16, 16, 8), 3))
        return StyleGAN2Generator("StyleGAN2", made.eval().requires_grad_(False), (), "x", "torch")
    made = StyleGAN1(SizesOf1(8, 8, 2, (16, 16, 8), 3, (2,)))
    for layer in made.synthesis.layers:
        nn.init.normal_(layer.style.weight, std=0.3)
        layer.style.bias.data = torch.cat([torch.ones_like(layer.bias), torch.zeros_like(layer.bias)])
    return StyleGAN1Generator("StyleGAN", made.eval().requires_grad_(False), "x")


@pytest.mark.parametrize("by_layer", [False, True])
@pytest.mark.parametrize("name", STYLED)
def test_a_picture_of_an_unlearned_network_comes_closer(name, by_layer, few):
    """Its landscape is full of hollows; a learned one's is not, see the starter's."""
    generator = unlearned(name)
    bound = Bound(generator, {"noise_mode": "none"} if name != "stylegan3" else {})
    target = decoded(generator, drawn(generator, 1, 3), **bound.options)
    found = project(bound, target, requests(1), start_of(bound), pyramid, 60, 1, by_layer)
    assert found.after[0] < 0.7 * found.before[0]
    assert (found.latents.values[0, 0] == found.latents.values[0, 1]).all() != by_layer


@pytest.mark.parametrize("name", [*PLAIN, *TEXT])
def test_a_drawn_picture_is_found_again(name, tmp_path, few):
    bound = bound_of(name, tmp_path)
    generator = bound.generator
    start = start_of(bound)
    there = edit(generator, start.mean, factorise(generator, 1), [0], [1.5], "", bound.settings)
    target = decoded(generator, there, **bound.options)
    found = project(bound, target, requests(1), start, pyramid, 150, 1)
    assert found.after[0] < 0.15 * found.before[0]
    again = decoded(generator, found.latents, **bound.options)
    before = decoded(generator, start.mean, **bound.options)
    assert (again - target).square().mean() < 0.1 * (before - target).square().mean()


@torch.inference_mode()
def test_the_starter_finds_what_it_drew():
    """Also in a graph's inference mode, where pictures take part in no derivative."""
    generator = load_generator_outside(catalog.starter_folder("generator", "starter emoji stylegan2"))
    bound = Bound(generator, {"noise_mode": "const"})
    target = decoded(generator, drawn(generator, 1, 5), **bound.options)
    assert target.is_inference()
    found = project(bound, target, requests(1), start_of(bound), pyramid, 150, 1)
    assert found.after[0] < 0.1 * found.before[0]
    again = decoded(generator, found.latents, **bound.options)
    assert -10 * math.log10(float((again - target).square().mean())) > 28


def load_generator_outside(path):
    with torch.inference_mode(False):
        return load_generator(path)


def test_an_image_depends_on_its_seed_alone(tmp_path, few):
    generator = tiny("stylegan2", tmp_path)
    bound = Bound(generator, {"noise_mode": "random"})
    start = start_of(bound)._replace(spread=3.0)
    targets = decoded(generator, drawn(generator, 3), noise_mode="const")

    def run(images, first, size):
        wanted = noise.requests(len(images), 4, bound.conditions, first)
        return project(bound, images, wanted, start, pyramid, 8, size)

    together = run(targets, 0, 3)
    assert torch.equal(run(targets, 0, 3).latents.values, together.latents.values)
    for size in (1, 2):
        assert_close(run(targets, 0, size).latents.values, together.latents.values)
    assert_close(run(targets[2:], 2, 1).latents.values, together.latents.values[2:])
    assert not torch.allclose(run(targets[:1], 1, 1).latents.values, together.latents.values[:1], atol=1e-3)


def test_steps_are_told_and_stop_the_run(tmp_path, few):
    bound = bound_of("stylegan2", tmp_path)
    told, starts = [], []
    start = start_of(bound, lambda done, preview=None: starts.append(done))
    assert starts == list(range(1, FEW // projecting.BATCH + 1))

    def on_step(done, preview=None):
        told.append(done)
        assert preview is None or (preview.shape == (16, 16, 3) and 0 <= preview.min() <= preview.max() <= 1)

    targets = torch.rand(3, 16, 16, 3)
    project(bound, targets, requests(3), start, pyramid, 4, 2, on_step=on_step)
    assert told == [2, 4, 6, 8, 9, 10, 11, 12]
    told.clear()

    def stop(done, preview=None):
        told.append(done)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        project(bound, targets, requests(3), start, pyramid, 4, 3, on_step=stop)
    assert told == [3]


@pytest.mark.parametrize("name", [*(name for name in ALL if name not in UNLIKE), "starter"])
def test_memory_is_foreseen(name, tmp_path, few):
    starter = catalog.starter_folder("generator", "starter emoji stylegan2")
    bound = Bound(load_generator(starter)) if name == "starter" else Bound(tiny(name, tmp_path))
    start, described = start_of(bound), bound.generator.descriptor
    for count in (1, 3):
        targets = torch.rand(count, described.height, described.width, 3)
        peak = peak_bytes(lambda targets=targets: project(bound, targets, requests(len(targets)), start, pyramid, 1, 8))
        assert 0.7 <= projecting.LAYERS_KEPT * bound.generator.memory_bytes(count) / peak <= 1.5


def test_others_cannot():
    with pytest.raises(CannotDo, match="generator: Toy cannot project; it can: sample, encode"):
        start_of(Bound(Toy()))


def test_the_report_names_both_ends():
    found = projecting.Projection(None, (0.5, 0.25), (0.01, 0.02))
    assert report("pyramid", found, [30.0, 28.126]) == (
        "image 0: pyramid 0.5000 -> 0.0100, PSNR 30.00 dB\nimage 1: pyramid 0.2500 -> 0.0200, PSNR 28.13 dB"
    )
    assert START_STEPS == 20
