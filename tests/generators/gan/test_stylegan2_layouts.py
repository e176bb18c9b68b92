"""StyleGAN2's other layouts hold the network of NVIDIA's: the kit's numbers, by files that say them otherwise."""

import numpy as np
import pytest
import torch
from trilemma.models.errors import BadCheckpoint
from trilemma.models.generators import binding, loading
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.gan.stylegan2 import layouts, other_layouts, sizes
from trilemma.models.generators.gan.stylegan2.layers import fir_filter
from trilemma.models.generators.gan.stylegan2.network import Settings, Sizes, StyleGAN2
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close
from trilemma.tests.generators.gan import gans, tensorflow_pickles

pytestmark = pytest.mark.slow

CASE = "golden_uncond"


def official() -> dict[str, torch.Tensor]:
    """The kit's weights in NVIDIA's layout, filters and all."""
    case = reference_kit.case("stylegan2_ada", CASE)
    made = reference_kit.weights(case)
    for entry in reference_kit.manifest("stylegan2_ada", case["manifest"]):
        if entry.name.endswith("resample_filter"):
            made[entry.name] = fir_filter()
    return made


def in_rosinality(tensors) -> dict[str, torch.Tensor]:
    """By the names that his code gives its modules, written anew from that: nothing of the reader is used."""
    levels = [4 << level for level in range(9) if f"synthesis.b{4 << level}.conv1.weight" in tensors]
    found = {"input.input": tensors["synthesis.b4.const"][None], "latent_avg": tensors["mapping.w_avg"]}
    for index in range(8):
        for part in ("weight", "bias"):
            found[f"style.{index + 1}.{part}"] = tensors[f"mapping.fc{index}.{part}"]
    number = 0
    for level, side in enumerate(levels):
        block = f"synthesis.b{side}"
        for layer in ("conv0", "conv1") if level else ("conv1",):
            name = f"convs.{number - 1}" if number else "conv1"
            found[f"{name}.conv.weight"] = tensors[f"{block}.{layer}.weight"][None]
            found[f"{name}.conv.modulation.weight"] = tensors[f"{block}.{layer}.affine.weight"]
            found[f"{name}.conv.modulation.bias"] = tensors[f"{block}.{layer}.affine.bias"]
            found[f"{name}.noise.weight"] = tensors[f"{block}.{layer}.noise_strength"].reshape(1)
            found[f"{name}.activate.bias"] = tensors[f"{block}.{layer}.bias"]
            found[f"noises.noise_{number}"] = tensors[f"{block}.{layer}.noise_const"][None, None]
            if layer == "conv0":
                found[f"{name}.conv.blur.kernel"] = 4 * fir_filter()
            number += 1
        name = f"to_rgbs.{level - 1}" if level else "to_rgb1"
        if level:
            found[f"{name}.upsample.kernel"] = 4 * fir_filter()
        found[f"{name}.bias"] = tensors[f"{block}.torgb.bias"][None, :, None, None]
        found[f"{name}.conv.weight"] = tensors[f"{block}.torgb.weight"][None]
        found[f"{name}.conv.modulation.weight"] = tensors[f"{block}.torgb.affine.weight"]
        found[f"{name}.conv.modulation.bias"] = tensors[f"{block}.torgb.affine.bias"]
    return found


def in_tensorflow(tensors) -> dict[str, np.ndarray]:
    """By the names and forms of the original code: kernels [H, W, in, out], styles around 1 without it."""
    arrays = {name: value.numpy() for name, value in tensors.items()}
    found = {"dlatent_avg": arrays["mapping.w_avg"], "synthesis/4x4/Const/const": arrays["synthesis.b4.const"][None]}
    for name, value in arrays.items():
        if name.startswith("mapping.fc"):
            index, part = name.removeprefix("mapping.fc").split(".")
            found[f"mapping/Dense{index}/{part}"] = value.T
        if name.startswith("mapping.embed"):
            found[f"mapping/LabelEmbed/{name.split('.')[2]}"] = value.T
    number = 0
    for side in (4, 8, 16, 32, 64):
        if f"synthesis.b{side}.conv1.weight" not in arrays:
            break
        names = {"conv1": "Conv" if side == 4 else "Conv1", "torgb": "ToRGB"}
        pairs = [] if side == 4 else [("conv0", "Conv0_up")]
        for layer, kind in [*pairs, *names.items()]:
            ours, theirs = f"synthesis.b{side}.{layer}", f"synthesis/{side}x{side}/{kind}"
            weight = arrays[f"{ours}.weight"]
            weight = weight[:, :, ::-1, ::-1] if kind == "Conv0_up" else weight
            found[f"{theirs}/weight"] = weight.transpose(2, 3, 1, 0)
            found[f"{theirs}/bias"] = arrays[f"{ours}.bias"]
            found[f"{theirs}/mod_weight"] = arrays[f"{ours}.affine.weight"].T
            found[f"{theirs}/mod_bias"] = arrays[f"{ours}.affine.bias"] - 1
            if layer != "torgb":
                found[f"{theirs}/noise_strength"] = arrays[f"{ours}.noise_strength"]
                found[f"synthesis/noise{number}"] = arrays[f"{ours}.noise_const"][None, None]
                number += 1
    return found


def pickled(tensors, folder, arguments=None):
    path = folder / "x.pkl"
    variables = in_tensorflow(tensors)
    path.write_bytes(tensorflow_pickles.snapshot(variables, ("dlatent_avg",), "mapping/", arguments))
    return loading.load_generator(path)


def saved(content, folder):
    torch.save(content, folder / "x.pt")
    return loading.load_generator(folder / "x.pt")


@torch.no_grad()
def check_kit(net):
    case = reference_kit.case("stylegan2_ada", CASE)
    ws = net.styles(torch.from_numpy(reference_kit.inputs(case)["z"]))
    pulled = net.truncate(ws, 0.7)
    outputs = {
        "w": ws[:, 0],
        "w_psi0.7": pulled[:, 0],
        "img_const": net(ws, net.const_noise()),
        "img_none": net(ws, net.no_noise()),
        "img_const_psi0.7": net(pulled, net.const_noise()),
    }
    print(reference_kit.compare(case, outputs))


def test_rosinality_answers_as_the_reference(tmp_path):
    """As his converter writes it, the mean of w beside the network, and a critic."""
    tensors = in_rosinality(official())
    mean = tensors.pop("latent_avg")
    generator = saved({"g_ema": tensors, "latent_avg": mean, "d": {"convs.0.0.weight": torch.ones(2, 2)}}, tmp_path)
    assert not any("latent_avg" in note for note in generator.notes)
    assert generator.descriptor.architecture == "StyleGAN2"
    assert torch.equal(generator.network.mapping.w_avg, mean)
    check_kit(generator.network)
    state = official()
    for name, value in generator.network.state_dict().items():
        torch.testing.assert_close(value, state[name], atol=0, rtol=0)


def test_tensorflow_answers_as_the_reference(tmp_path):
    generator = pickled(official(), tmp_path, {"resolution": 64, "conv_clamp": 256})
    check_kit(generator.network)
    assert generator.network.synthesis.b4.conv1.most == 256
    assert "Gs" in " ".join(generator.notes)


def test_classes_of_tensorflow(tmp_path):
    torch.manual_seed(0)
    original = StyleGAN2(Sizes(8, 3, 6, 2, (12, 8, 4), 3), Settings(None)).eval()
    generator = pickled(original.state_dict(), tmp_path)
    assert generator.descriptor.num_classes == 3
    z, labels = torch.randn(2, 8), torch.tensor([2, 0])
    with torch.no_grad():
        expected = original(original.styles(z, labels), original.const_noise())
        net = generator.network
        assert_close(net(net.styles(z, labels), net.const_noise()), expected)


@torch.no_grad()
def test_seeds_and_noise_are_those_of_tensorflows_script(tmp_path):
    """z and then the noise of every layer from one RandomState."""
    original = StyleGAN2(Sizes(8, 0, 6, 2, (12, 8, 4), 3), Settings(None)).eval()
    for convolution in original.synthesis.convolutions:
        convolution.noise_strength.fill_(0.3)
    generator = pickled(original.state_dict(), tmp_path)
    (batch,) = binding.sample(Bound(generator), 1, 85, 1)
    state = np.random.RandomState(85)
    z = torch.from_numpy(state.randn(1, 8)).float()
    noise = [torch.from_numpy(state.randn(1, 1, side, side)).float() for side in (4, 8, 8, 16, 16)]
    expected = (original(original.styles(z), noise) + 1) / 2
    assert_close(batch.images, expected.clamp(0, 1).movedim(1, -1))


def small() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return StyleGAN2(Sizes(8, 0, 8, 8, (12, 8, 4), 3)).state_dict()


def test_a_file_without_a_mean_gets_it(tmp_path):
    tensors = in_rosinality(small())
    del tensors["latent_avg"]
    generator = saved({"g_ema": tensors}, tmp_path)
    some = generator.network.mapping(torch.randn(20_000, 8)).mean(dim=0)
    assert (generator.network.mapping.w_avg - some).abs().max() < 0.1 < some.abs().max()
    gans.check_batches(generator, {"truncation_psi": 0.7})


def test_nothing_is_clamped(tmp_path):
    tensors = small()
    tensors["synthesis.b8.conv1.bias"].fill_(400.0)
    expected = StyleGAN2(sizes(tensors), Settings(None)).eval()
    expected.load_state_dict(tensors)
    net = saved(in_rosinality(tensors), tmp_path).network
    z = torch.randn(2, 8)
    with torch.no_grad():
        assert_close(net(net.styles(z), net.no_noise()), expected(expected.styles(z), expected.no_noise()))


def test_both_layouts_are_whole():
    """Every tensor of the full network of 1024 pixels has its place, and nothing else."""
    full = other_layouts.FFHQ
    with torch.device("meta"):
        state = StyleGAN2(full).state_dict()
    for entries in (layouts.rosinality(full), layouts.tensorflow(full)):
        into = [entry.into for entry in entries]
        assert len(set(into)) == len(into)
        missing = state.keys() - set(into)
        assert all(name.endswith("resample_filter") or name == "mapping.w_avg" for name in missing)
        assert set(into) <= state.keys()


@pytest.mark.parametrize(
    "arguments", [{"architecture": "resnet"}, {"nonlinearity": "relu"}, {"resample_kernel": [1, 2, 1]}]
)
def test_networks_of_other_arguments_are_refused(arguments, tmp_path):
    with pytest.raises(BadCheckpoint, match=f"its {next(iter(arguments))} is"):
        pickled(small(), tmp_path, arguments)
