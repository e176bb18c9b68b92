import json

import numpy as np
import pytest
import torch
from trilemma.models.errors import BadCheckpoint, BadInput
from trilemma.models.files import checkpoints
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.generators import binding, loading, noise
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.gan import stylegan3
from trilemma.models.generators.gan.stylegan3 import resampling
from trilemma.models.generators.gan.stylegan3.design import Settings, Sizes, published
from trilemma.models.generators.gan.stylegan3.generator import moved_by
from trilemma.models.generators.gan.stylegan3.network import StyleGAN3
from trilemma.models.generators.gan.stylegan3.resampling import Resample
from trilemma.models.weights import empty_weights
from trilemma.tests import reference_kit
from trilemma.tests.benchmarks import stylegan3_reference
from trilemma.tests.closeness import assert_close, is_close
from trilemma.tests.generators.gan import gans

SYSTEMS = ("stylegan3_t", "stylegan3_r")
SMALL = Sizes(8, 3, 6, 2, 16, 3, (12, 12, 12, 8, 8), 3, False)


def network(sizes: Sizes = SMALL, settings: Settings | None = None) -> StyleGAN3:
    torch.manual_seed(0)
    made = StyleGAN3(sizes, settings)
    with torch.no_grad():
        made.mapping.w_avg.normal_()
        made.synthesis.input.affine.bias.copy_(torch.tensor([1.0, 0.2, 0.1, -0.1]))
    return made.eval()


@pytest.fixture
def small(tmp_path):
    return gans.load(network().state_dict(), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("name", ["uncond", "cond10"])
def test_answers_of_the_reference(system, name, tmp_path):
    """The kit leaves filters and transform to the constructor; the file has none of them."""
    case = reference_kit.case(system, f"golden_{name}")
    torch.save(reference_kit.weights(case), tmp_path / "model.pt")
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
            "img_default": net(ws),
            "img_default_psi0.7": net(pulled),
        }
        net.synthesis.input.transform.copy_(torch.from_numpy(inputs["input_transform"]))
        outputs["img_with_transform"] = net(ws)
    reference_kit.compare(case, outputs, atol=2e-6, rtol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_snapshots_are_read_whole_and_drawn(system):
    """Every tensor of the snapshot's manifest; filters and transform are those of the file."""
    case = reference_kit.case(system, "golden_tiny_pickle")
    generator = loading.load_generator(reference_kit.KIT / system / "snapshot_tiny_blank_source.pkl")
    net = generator.network
    state = net.state_dict()
    entries = reference_kit.manifest(system, case["manifest"])
    assert {name: tuple(value.shape) for name, value in state.items()} == {e.name: e.shape for e in entries}
    for name, value in reference_kit.weights(case).items():
        assert torch.equal(state[name], value), name
    made = StyleGAN3(net.sizes).state_dict()
    for name in set(state) - set(reference_kit.weights(case)):
        torch.testing.assert_close(state[name], made[name], atol=1e-7, rtol=1e-6)
    z = torch.from_numpy(reference_kit.inputs(case)["z"])
    with torch.no_grad():
        ws = net.styles(z)
        outputs = {"img": net(ws), "img_psi0.7": net(net.truncate(ws, 0.7))}
    reference_kit.compare(case, outputs, atol=2e-6, rtol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize(
    ("file", "resolution"),
    [("full_ffhq1024", 1024), ("full_ffhqu256", 256), ("small_uncond", 64), ("small_cond10", 64), ("tiny_pickle", 32)],
)
def test_published_layouts_are_claimed(system, file, resolution):
    """Key by key, and what the names tell is what NVIDIA's settings say."""
    entries = reference_kit.manifest(system, f"manifest_{file}.json")
    tensors = {name: torch.empty(shape, device="meta") for name, shape, _ in entries}
    assert stylegan3.detect(Checkpoint(tensors, {}))
    sizes = stylegan3.sizes(tensors)
    if "full" in file:
        assert sizes == published(resolution, system == "stylegan3_r")
    with empty_weights():
        state = StyleGAN3(sizes).state_dict()
    assert {name: value.shape for name, value in state.items()} == {
        name: value.shape for name, value in tensors.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("radial", [False, True])
def test_resampling_is_that_of_the_paper(radial):
    sizes = SMALL._replace(radial=radial, kernel=1 if radial else 3)
    net = network(sizes)
    ws = torch.randn(2, net.num_ws, sizes.w_dim)
    with torch.no_grad():
        torch.testing.assert_close(net(ws), stylegan3_reference.synthesize(net, ws), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("up", "down", "taps", "before"), [(2, 1, 12, 7), (4, 1, 24, -3), (1, 2, 12, 0), (2, 2, 5, 90)]
)
def test_bands_are_zero_insertion_convolution_and_decimation(up, down, taps, before):
    rng = np.random.default_rng(0)
    filter, signal, outputs = rng.normal(size=taps), rng.normal(size=50), 41
    inserted = np.zeros(50 * up)
    inserted[::up] = signal
    padded = np.concatenate([np.zeros(max(before, 0)), inserted[max(-before, 0) :], np.zeros(200)])
    expected = np.convolve(padded, filter, "valid")[::down][:outputs]
    step = Resample(torch.from_numpy(filter), up, down, before, 50, outputs)
    whole = step.matrix() @ torch.from_numpy(signal)
    parts = torch.cat([band @ torch.from_numpy(signal)[needed] for needed, band in step.bands()])
    np.testing.assert_allclose(whole, expected, atol=1e-12)
    np.testing.assert_allclose(parts, expected, atol=1e-12)


def test_the_part_that_is_upsampled_at_a_time_changes_nothing(small, monkeypatch):
    ws = torch.randn(2, *small.descriptor.latent_shape)
    with torch.no_grad():
        whole = small.network(ws)
        monkeypatch.setattr(resampling, "CPU_BYTES", 1)
        assert_close(small.network(ws), whole)


@pytest.mark.slow
def test_samples_do_not_depend_on_the_batch(small):
    gans.check_batches(small, {"truncation_psi": 0.6, "truncation_cutoff": 2, "rotation": 20.0, "translate_x": 0.1})
    gans.check_identity(small)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [85, 2**32 - 1, 2**40 + 3])
def test_seeds_are_those_of_the_official_script(seed, tmp_path):
    """z of one sample is RandomState(seed).randn(1, z_dim), as float32; larger seeds differ from all those."""
    sizes = SMALL._replace(c_dim=0)
    generator = gans.load(network(sizes).state_dict(), tmp_path)
    (batch,) = binding.sample(Bound(generator), 1, seed, 1)
    state = np.random.RandomState(seed if seed < 2**32 else [seed % 2**32, seed // 2**32])
    z = torch.from_numpy(state.randn(1, sizes.z_dim)).float()
    net = generator.network
    with torch.no_grad():
        expected = (net(net.styles(z)) + 1) / 2
    assert_close(batch.images, expected.clamp(0, 1).movedim(1, -1))
    (other,) = binding.sample(Bound(generator, {"seeding": "torch"}), 1, seed, 1)
    z = noise.normal(noise.generators(noise.requests(1, seed, [Condition()])), (sizes.z_dim,))
    with torch.no_grad():
        expected = (net(net.styles(z)) + 1) / 2
    assert_close(other.images, expected.clamp(0, 1).movedim(1, -1))
    assert not is_close(other.images, batch.images)


@pytest.mark.slow
def test_classes_are_asked_for(small):
    bound = Bound(small).with_conditions([Condition("2")])
    (batch,) = binding.sample(bound, 2, 7, 2)
    z = torch.from_numpy(np.stack([np.random.RandomState(seed).randn(8) for seed in (7, 8)])).float()
    net = small.network
    with torch.no_grad():
        expected = (net(net.styles(z, torch.tensor([2, 2]))) + 1) / 2
    assert_close(batch.images, expected.clamp(0, 1).movedim(1, -1))
    with pytest.raises(BadInput, match="from 0 to 2"):
        bound.with_conditions([Condition("3")])


def test_motion_is_that_of_the_official_script():
    """The input's transform is the inverse of a turn and a shift."""
    angle = 30 / 360 * np.pi * 2
    wanted = np.eye(3)
    wanted[:2] = [[np.cos(angle), np.sin(angle), 0.25], [-np.sin(angle), np.cos(angle), -0.5]]
    np.testing.assert_allclose(moved_by(0.25, -0.5, 30.0), np.linalg.inv(wanted), atol=1e-7)
    assert moved_by(0.0, 0.0, 0.0) is None


@pytest.mark.slow
def test_pictures_are_moved_and_turned(tmp_path):
    """By the input's transform of the file, and by the options behind it; a shift shifts the picture."""
    net = network(SMALL._replace(c_dim=0))
    torch.save(net.state_dict(), tmp_path / "x.pt")
    generator = loading.load_generator(tmp_path / "x.pt")
    (still,) = binding.sample(Bound(generator), 1, 3, 1)
    options = {"translate_x": 0.25, "translate_y": 0.0, "rotation": 0.0}
    (shifted,) = binding.sample(Bound(generator, options), 1, 3, 1)
    inner = (still.images[:, 4:-4, 3:-7] - shifted.images[:, 4:-4, 7:-3]).abs().mean()
    unmoved = (still.images[:, 4:-4, 3:-7] - shifted.images[:, 4:-4, 3:-7]).abs().mean()
    assert inner < unmoved / 3
    net.synthesis.input.transform.copy_(moved_by(0.25, 0.0, 0.0))
    torch.save(net.state_dict(), tmp_path / "y.pt")
    (of_file,) = binding.sample(Bound(loading.load_generator(tmp_path / "y.pt")), 1, 3, 1)
    assert_close(of_file.images, shifted.images)
    (turned,) = binding.sample(Bound(generator, {"rotation": 90.0}), 1, 3, 1)
    back = torch.rot90(turned.images, 1, (1, 2))
    other = torch.rot90(turned.images, -1, (1, 2))
    differences = [(still.images - each).abs().mean() for each in (back, other, turned.images)]
    assert min(differences[:2]) < differences[2]


CLAMPED = {"conv_clamp": 0.3}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (CLAMPED, {"clamp": 0.3}),
        ({"conv_clamp": None}, {"clamp": None}),
        ({"output_scale": 1.0}, {"output_scale": 1.0}),
        ({"mapping_kwargs": {"num_layers": 2, "lr_multiplier": 0.1}}, {"rate": 0.1}),
        ({"first_stopband": 6.0, "last_stopband_rel": 1.1, "first_cutoff": 3.0}, None),
        ({"magnitude_ema_beta": 0.9997, "num_fp16_res": 4, "channel_base": 32768}, {}),
    ],
)
def test_settings_come_from_the_snapshot(arguments, told):
    told = arguments if told is None else told
    original = network(settings=Settings(**told))
    with torch.no_grad():
        original.synthesis.layers[0].bias[:3] = 400.0  # above the usual clamp
    checkpoint = Checkpoint(original.state_dict(), {}, values={"_init_kwargs": arguments})
    found = stylegan3.load(checkpoint).network
    assert found.settings == Settings()._replace(**told)
    z, labels = torch.randn(2, 8), torch.tensor([0, 2])
    with torch.no_grad():
        pictures = [net(net.styles(z, labels)) for net in (found, original)]
        usual = StyleGAN3(SMALL).eval()
        usual.load_state_dict(original.state_dict())
        assert is_close(pictures[0], usual(usual.styles(z, labels))) == (not told)
    assert_close(*pictures)


@pytest.mark.parametrize("arguments", [{"conv_clamp": "much"}, {"margin_size": None}])
def test_settings_that_are_no_numbers_are_refused(arguments):
    with pytest.raises(BadCheckpoint, match="no number"):
        stylegan3.load(Checkpoint(network().state_dict(), {}, values={"_init_kwargs": arguments}))


def test_a_file_of_some_filters_lacks_the_others(tmp_path):
    tensors = network().state_dict()
    del tensors["synthesis.L1_36_12.up_filter"]
    with pytest.raises(BadCheckpoint, match=r"L1_36_12\.up_filter"):
        gans.load(tensors, tmp_path)


def test_rgba_is_an_image_with_alpha(tmp_path):
    original = network(SMALL._replace(img_channels=4, c_dim=0))
    generator = gans.load(original.state_dict(), tmp_path)
    (batch,) = binding.sample(Bound(generator), 2, 5, 2)
    assert batch.images.shape == (2, 16, 16, 4)
    assert generator.descriptor.channels == 4


def test_stylegan_xl_is_told(tmp_path):
    tensors = network().state_dict()
    tensors["mapping.embed_proj.weight"] = torch.zeros(6, 6)
    torch.save(tensors, tmp_path / "x.pt")
    with pytest.raises(BadCheckpoint, match="StyleGAN-XL"):
        loading.load_generator(tmp_path / "x.pt")


def test_converted_snapshots_keep_their_settings(tmp_path):
    from trilemma.models.files.converting import convert

    source = reference_kit.KIT / "stylegan3_t" / "snapshot_tiny_blank_source.pkl"
    convert(source, tmp_path / "x.safetensors")
    kept = checkpoints.read(tmp_path / "x.safetensors")
    assert kept.values["_init_kwargs"]["conv_clamp"] == 256
    assert loading.load_generator(tmp_path / "x.safetensors").network.settings == Settings()
    assert json.dumps(kept.values["_init_kwargs"])
