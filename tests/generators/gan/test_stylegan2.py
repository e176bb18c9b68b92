import json
from itertools import pairwise

import pytest
import torch
from trilemma.models.errors import BadCheckpoint, BadInput
from trilemma.models.files import catalog, checkpoints
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.generators import binding, loading, noise
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.describing import describe
from trilemma.models.generators.gan import stylegan2
from trilemma.models.generators.gan.stylegan2 import layers, synthesis
from trilemma.models.generators.gan.stylegan2.layers import fir_filter
from trilemma.models.generators.gan.stylegan2.network import Settings, Sizes, StyleGAN2
from trilemma.models.generators.sampling import Samples
from trilemma.tests import reference_kit
from trilemma.tests.benchmarks import stylegan2_reference
from trilemma.tests.closeness import assert_close, is_close
from trilemma.tests.families import checks, kinds
from trilemma.tests.generators.gan import gans

NAMES = ("ant", "bee", "cow")
METADATA = {"trilemma": json.dumps({"class_names": NAMES})}
PLAIN = Sizes(z_dim=6, c_dim=0, w_dim=10, num_layers=3, channels=(12, 8), img_channels=1)
CLASSES = Sizes(z_dim=8, c_dim=3, w_dim=6, num_layers=2, channels=(12, 8, 4), img_channels=3)
STARTER = catalog.starter_folder("generator", "starter emoji stylegan2")


def network(sizes: Sizes) -> StyleGAN2:
    """Every number random: strengths of the noise and the mean latent too."""
    torch.manual_seed(0)
    made = StyleGAN2(sizes)
    with torch.no_grad():
        for convolution in made.synthesis.convolutions:
            convolution.noise_strength.fill_(0.3)
            convolution.bias.normal_()
        made.mapping.w_avg.normal_()
    return made.eval()


@pytest.fixture
def classes(tmp_path):
    return gans.load(network(CLASSES).state_dict(), tmp_path, METADATA)


@pytest.fixture
def plain(tmp_path):
    return gans.load(network(PLAIN).state_dict(), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [PLAIN, CLASSES])
def test_sizes_come_from_the_shapes(sizes, tmp_path):
    original = network(sizes)
    generator = gans.load(original.state_dict(), tmp_path, METADATA if sizes.c_dim else None)
    assert generator.network.sizes == sizes
    described = generator.descriptor
    assert (described.height, described.channels) == (sizes.resolution, sizes.img_channels)
    assert described.class_names == NAMES[: sizes.c_dim]
    assert described.conditions == (("none", "class") if sizes.c_dim else ("none",))
    assert described.parameters == sum(parameter.numel() for parameter in original.parameters())
    z = torch.randn(2, sizes.z_dim)
    labels = torch.tensor([2, 0]) if sizes.c_dim else None
    with torch.no_grad():
        expected = original(original.styles(z, labels), original.const_noise())
        found = generator.network(generator.network.styles(z, labels), generator.network.const_noise())
    assert_close(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["uncond", "cond10"])
def test_answers_of_the_reference(name, tmp_path):
    case = reference_kit.case("stylegan2_ada", f"golden_{name}")
    tensors = reference_kit.weights(case)
    for entry in reference_kit.manifest("stylegan2_ada", case["manifest"]):
        if entry.name.endswith("resample_filter"):
            tensors[entry.name] = fir_filter()
    torch.save(tensors, tmp_path / "model.pt")
    net = loading.load_generator(tmp_path / "model.pt").network
    inputs = reference_kit.inputs(case)
    labels = torch.from_numpy(inputs["c"]).argmax(dim=1) if "c" in inputs else None
    with torch.no_grad():
        ws = net.styles(torch.from_numpy(inputs["z"]), labels)
        pulled = net.truncate(ws, 0.7)
        outputs = {
            "w": ws[:, 0],
            "w_psi0.7": pulled[:, 0],
            "w_psi0.5_cutoff4": net.truncate(ws, 0.5, 4),
            "img_const": net(ws, net.const_noise()),
            "img_none": net(ws, net.no_noise()),
            "img_const_psi0.7": net(pulled, net.const_noise()),
            "img_none_psi0.7": net(pulled, net.no_noise()),
        }
    reference_kit.compare(case, outputs)


@pytest.mark.slow
@pytest.mark.parametrize("clamped", [None, 0.7])
@torch.no_grad()
def test_pictures_one_at_a_time_and_phases_are_the_papers(monkeypatch, clamped):
    """As the reference operations; noise of a picture's own, and noise that all share."""
    monkeypatch.setattr(synthesis, "APART", 1)
    monkeypatch.setattr(layers, "PHASED", 1)
    made = network(CLASSES)
    for convolution in made.synthesis.convolutions:
        convolution.most = clamped
    ws = made.styles(torch.randn(3, 8), torch.tensor([0, 1, 2]))
    own = [torch.randn(3, 1, side, side) for side in made.noise_sides]
    for noises in (own, made.const_noise(), made.no_noise()):
        expected = stylegan2_reference.synthesize(made, ws, noises)
        torch.testing.assert_close(made(ws, noises), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(5, 4, 3, 7), (2, 3, 1, 1)])
def test_a_doubling_convolution_is_a_transposed_one(shape, monkeypatch):
    outputs, inputs, height, width = shape
    monkeypatch.setattr(layers, "PHASED", 1)
    x, weight = torch.randn(2, inputs, height, width), torch.randn(outputs, inputs, 3, 3)
    expected = torch.nn.functional.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
    torch.testing.assert_close(layers.doubled(x, weight), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["random", "const", "none"])
def test_samples_do_not_depend_on_the_batch(classes, mode):
    gans.check_batches(classes, {"noise_mode": mode, "truncation_psi": 0.6, "truncation_cutoff": 2})


@pytest.mark.parametrize("size", gans.BATCHES)
def test_noise_and_classes_do_not_depend_on_the_batch(classes, size):
    requests = noise.requests(8, gans.SEED, [Condition()])
    parts = [requests[start : start + size] for start in range(0, 8, size)]
    for expected, request in zip(zip(*classes._start(requests)[:2], strict=True), requests, strict=True):
        part = next(part for part in parts if request in part)
        z, labels, _ = classes._start(part)
        assert torch.equal(z[part.index(request)], expected[0])
        assert labels[part.index(request)] == expected[1]


def test_a_class_is_asked_for_by_name_or_number(classes):
    bound = Bound(classes)
    by_name = bound.with_conditions([Condition("Bee"), Condition("cow")])
    by_number = bound.with_conditions([Condition("1"), Condition("2")])
    (named,) = binding.sample(by_name, 4, 0, 4)
    (numbered,) = binding.sample(by_number, 4, 0, 4)
    assert_close(named.images, numbered.images)
    (others,) = binding.sample(bound.with_conditions([Condition("ant")]), 4, 0, 4)
    assert (named.images - others.images).abs().amax(dim=(1, 2, 3)).min() > 1e-3
    with pytest.raises(BadInput, match="ant, bee, cow"):
        bound.with_conditions([Condition("dog")])


def test_truncation_pulls_the_first_layers(classes):
    settings = {**Bound(classes).settings, "noise_mode": "none"}
    requests = noise.requests(3, 0, [Condition()])
    with torch.no_grad():
        latents = classes.latents(requests, settings)
        mean = classes.mean_latent()
        centre = classes.decode(mean, requests[:1], settings)
        pulled = classes.decode(latents, requests, {**settings, "truncation_psi": 0.0})
        torch.testing.assert_close(pulled, centre.expand_as(pulled), atol=1e-5, rtol=0)
        half = classes.decode(latents, requests, {**settings, "truncation_psi": 0.5, "truncation_cutoff": 3})
        by_hand = latents.values.clone()
        by_hand[:, :3] = (by_hand[:, :3] + mean.values[:, :3]) / 2
        expected = classes.decode(latents._replace(values=by_hand), requests, settings)
    torch.testing.assert_close(half, expected, atol=1e-5, rtol=0)


def test_noise_modes(classes):
    requests = noise.requests(1, 0, [Condition("ant")]) * 2
    other = noise.requests(1, 1, [Condition("ant")])
    settings = Bound(classes).settings
    latents = classes.latents(requests, settings)
    images = {}
    with torch.no_grad():
        for mode in ("random", "const", "none"):
            chosen = {**settings, "noise_mode": mode}
            images[mode] = classes.decode(latents, [requests[0], *other], chosen)
    assert_close(images["const"][0], images["const"][1])
    assert_close(images["none"][0], images["none"][1])
    assert not is_close(images["random"][0], images["random"][1])
    assert not is_close(images["const"], images["none"])


def test_both_spaces_are_decoded(classes):
    bound = Bound(classes)
    requests = noise.requests(3, 5, [Condition("cow"), Condition()])
    z, _, _ = classes._start(requests)
    with torch.no_grad():
        w = classes.latents(requests, bound.settings)
        assert w.space == "w"
        assert w.values.shape == (3, *classes.descriptor.latent_shape)
        from_w = classes.decode(w, requests, bound.settings)
        from_z = classes.decode(w._replace(values=z, space="z"), requests, bound.settings)
    assert_close(from_w, from_z)
    with pytest.raises(BadInput, match="'z'"):
        classes.interpolate(w._replace(space="z"), w, [0.5])
    with pytest.raises(BadInput, match="'x'"):
        classes.decode(w._replace(space="x"), requests, bound.settings)
    gans.check_identity(classes)


def test_walks_are_straight_in_w(classes):
    requests = noise.requests(2, 0, [Condition("ant"), Condition("cow")])
    w = classes.latents(requests, Bound(classes).settings)
    ends = [w._replace(values=w.values[[index]]) for index in (0, 1)]
    way = classes.interpolate(*ends, [0.0, 0.25, 1.0])
    torch.testing.assert_close(way.values[[0, 2]], w.values)
    torch.testing.assert_close(way.values[1], 0.75 * w.values[0] + 0.25 * w.values[1])


def test_styles_are_mixed_from_the_crossover_on(classes):
    requests = noise.requests(2, 0, [Condition()])
    w = classes.latents(requests, Bound(classes).settings)
    coarse, fine = (w._replace(values=w.values[[index]]) for index in (0, 1))
    layers = classes.network.num_ws
    mixed = classes.style_mix(coarse, fine, 2).values
    assert torch.equal(mixed[:, :2], coarse.values[:, :2])
    assert torch.equal(mixed[:, 2:], fine.values[:, 2:])
    assert torch.equal(classes.style_mix(coarse, fine, layers).values, coarse.values)
    with pytest.raises(BadInput, match=f"crossover: {layers + 1} "):
        classes.style_mix(coarse, fine, layers + 1)


@pytest.mark.slow
def test_grey_pictures_have_three_planes(plain):
    images = gans.check_batches(plain)
    assert torch.equal(images[..., 0], images[..., 2])


@pytest.mark.slow
def test_published_layouts_are_claimed():
    for file in ("uncond", "cond10"):
        entries = reference_kit.manifest("stylegan2_ada", f"manifest_small_{file}.json")
        tensors = {name: torch.empty(shape, device="meta") for name, shape, _ in entries}
        assert stylegan2.detect(Checkpoint(tensors, {}))
        sizes = stylegan2.sizes(tensors)
        assert sizes == Sizes(512, 10 if file == "cond10" else 0, 512, 8, (128, 128, 128, 128, 64), 3)
        with torch.device("meta"):
            state = StyleGAN2(sizes).state_dict()
        assert {name: value.shape for name, value in state.items()} == {
            name: value.shape for name, value in tensors.items()
        }


@pytest.mark.slow
def test_starter(tmp_path):
    generator = loading.load_generator(STARTER)
    assert generator.descriptor.class_names == tuple(
        checkpoints.described(checkpoints.read(STARTER / "model.safetensors").metadata)["class_names"]
    )
    bound = Bound(generator)
    runs = [torch.cat([batch.images for batch in binding.sample(bound, 8, 3, size)]) for size in gans.BATCHES]
    for one, other in pairwise(runs):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=0)
    checks.memory_is_foreseen(kinds.GENERATOR, generator)


def snapshot(network: StyleGAN2, **arguments) -> Checkpoint:
    """What a snapshot's reader gives: the constructor's arguments stand among the values."""
    return Checkpoint(network.state_dict(), {}, values={"_init_kwargs": arguments})


LOUD = Sizes(z_dim=6, c_dim=0, w_dim=10, num_layers=3, channels=(12, 8), img_channels=3)


@pytest.mark.parametrize(
    ("arguments", "clamp", "rate"),
    [
        ({"synthesis_kwargs": {"conv_clamp": 256}}, 256, 0.01),
        ({"synthesis_kwargs": {"conv_clamp": 0.5}, "mapping_kwargs": {"lr_multiplier": 0.1}}, 0.5, 0.1),
        ({"synthesis_kwargs": {"conv_clamp": None}}, None, 0.01),
        ({"synthesis_kwargs": {}}, None, 0.01),
        ({"conv_clamp": 2, "mapping_kwargs": {"num_layers": 3}}, 2, 0.01),
        ({"channel_base": 16384}, 256, 0.01),
    ],
)
def test_settings_come_from_the_snapshot(arguments, clamp, rate):
    """StyleGAN2-ADA's code clamps nothing unless told, StyleGAN3's at 256; values above 256 show it."""
    original = network(LOUD)
    with torch.no_grad():
        original.synthesis.convolutions[0].bias.fill_(400.0)
    found = stylegan2.load(snapshot(original, **arguments)).network
    expected = StyleGAN2(LOUD, Settings(clamp, rate)).eval()
    expected.load_state_dict(original.state_dict())
    z = torch.randn(2, LOUD.z_dim)
    with torch.no_grad():
        pictures = [net(net.styles(z), net.no_noise()) for net in (found, expected)]
        usual = original(original.styles(z), original.no_noise())
    assert_close(*pictures)
    assert is_close(pictures[0], usual) == ((clamp, rate) == (256, 0.01))


@pytest.mark.parametrize(
    "arguments",
    [{"synthesis_kwargs": {"architecture": "resnet"}}, {"mapping_kwargs": {"activation": "relu"}}, {"activation": "x"}],
)
def test_networks_of_other_settings_are_refused(arguments):
    with pytest.raises(BadCheckpoint, match=r"its (architecture|activation) is '\w+'; the pack builds '(skip|lrelu)'"):
        stylegan2.load(snapshot(network(LOUD), **arguments))


def test_rgba_is_an_image_with_alpha(tmp_path):
    sizes = LOUD._replace(img_channels=4)
    original = network(sizes)
    torch.save(original.state_dict(), tmp_path / "x.pt")
    generator = loading.load_generator(tmp_path / "x.pt")
    (batch,) = binding.sample(Bound(generator, {"noise_mode": "const"}), 2, 5, 2)
    requests = noise.requests(2, 5, [Condition()])
    z = noise.normal(noise.generators(requests), (sizes.z_dim,))
    with torch.no_grad():
        expected = original(original.styles(z), original.const_noise())
    assert batch.images.shape == (2, 8, 8, 4)
    assert_close(batch.images, ((expected + 1) / 2).clamp(0, 1).movedim(1, -1))
    previews = []
    Samples(Bound(generator), 2, 5, lambda done, preview=None: previews.append(preview)).fill(1)
    assert all(preview is None or preview.shape == (8, 8, 3) for preview in previews)
    assert "RGB with alpha" in describe(generator.descriptor)


@pytest.mark.parametrize("channels", [2, 6])
def test_other_channels_are_refused_at_load(channels, tmp_path):
    torch.save(network(LOUD._replace(img_channels=channels)).state_dict(), tmp_path / "x.pt")
    with pytest.raises(BadCheckpoint, match=rf"x\.pt: its pictures have {channels} channels; of StyleGAN2"):
        loading.load_generator(tmp_path / "x.pt")
