import json
import math
import pickle

import numpy as np
import pytest
import torch
from trilemma.models.errors import BadCheckpoint
from trilemma.models.generators import binding, loading
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.gan.stylegan1 import layouts
from trilemma.models.generators.gan.stylegan1.network import Settings, StyleGAN1
from trilemma.models.random_weights import random_tensors
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close, is_close
from trilemma.tests.generators.gan import gans, tensorflow_pickles

pytestmark = pytest.mark.slow

BLUR = torch.tensor([1.0, 2.0, 1.0]).outer(torch.tensor([1.0, 2.0, 1.0])) / 16
ROSINALITY, GENFORCE, LERNAPPARAT = layouts.LAYOUTS


def tensors_of(name: str) -> tuple[dict, dict[str, torch.Tensor]]:
    """A case of the kit and its weights, with the blur and the lod that a constructor makes."""
    case = reference_kit.case("stylegan1", f"golden_{name}")
    made = reference_kit.weights(case)
    for entry in reference_kit.manifest("stylegan1", case["manifest"]):
        if entry.name not in made:
            made[entry.name] = BLUR.expand(entry.shape).clone() if entry.shape else torch.tensor(0.0)
    return case, made


def loaded(tensors, tmp_path, *path):
    content = tensors
    for key in reversed(path):
        content = {key: content}
    torch.save(content, tmp_path / "x.pth")
    return loading.load_generator(tmp_path / "x.pth")


def inputs_of(case) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value) for name, value in reference_kit.inputs(case).items()}


@torch.no_grad()
def test_rosinality_answers_as_its_reference(tmp_path):
    case, tensors = tensors_of("rosinality")
    net = loaded(tensors, tmp_path, "g_running").network
    assert (net.levels, net.resolution) == (9, 1024)
    given = inputs_of(case)
    noise = [given[f"noise{level}"] for level in range(6) for _ in (0, 1)]
    w, w2, mean = (net.mapping(given[name]) for name in ("z", "z2", "z_mean"))
    mean = mean.mean(dim=0, keepdim=True)
    pulled, pulled2 = (mean + 0.7 * (each - mean) for each in (w, w2))

    def styles(one, levels):
        return one[:, None].repeat(1, 2 * levels, 1)

    mixed = styles(pulled, 4)
    mixed[:, :4] = styles(pulled2, 2)
    outputs = {
        "w": w,
        "mean_style": mean,
        "img32_full": net(styles(w, 4), noise, levels=4),
        "img32_psi07": net(styles(pulled, 4), noise, levels=4),
        "img32_mixing_0_1": net(mixed, noise, levels=4),
        "img32_alpha04": net(styles(w, 4), noise, levels=4, lod=0.6),
        "img128_psi07": net(styles(pulled[:1], 6), [each[:1] for each in noise], levels=6),
    }
    print(reference_kit.compare(case, outputs, atol=1e-5))


@torch.no_grad()
def test_genforce_answers_as_its_reference(tmp_path):
    case, tensors = tensors_of("genforce_small")
    net = loaded(tensors, tmp_path, "generator_smooth").network
    ws = net.styles(inputs_of(case)["z"])
    noise = net.const_noise()
    outputs = {
        "w": ws[:, 0],
        "img_full": net(ws, noise),
        "img_psi07_layers8": net(net.truncate(ws, 0.7, 8), noise),
        "img_psi05_layers4": net(net.truncate(ws, 0.5, 4), noise),
        "img_lod2": net(ws, noise, lod=2.0),
    }
    tensors["synthesis.lod"] = torch.tensor(1.5)
    net = loaded(tensors, tmp_path).network
    outputs["img_lod15"] = net(ws, noise)
    print(reference_kit.compare(case, outputs, atol=1e-5))


@torch.no_grad()
def test_lernapparat_answers_as_its_reference(tmp_path):
    case, tensors = tensors_of("lernapparat_small")
    net = loaded(tensors, tmp_path).network
    given = inputs_of(case)
    noise = [given[f"noise{index}"] for index in range(12)]
    ws = net.styles(given["z"])
    mean = net.mapping.w_avg.clone()
    net.mapping.w_avg.copy_(0.1 * given["avg_latent"])
    outputs = {
        "w": ws[:, 0],
        "img_full": net(ws, noise),
        "img_psi07_layers8": net(net.truncate(ws, 0.7, 8), noise),
    }
    print(reference_kit.compare(case, outputs, atol=1e-5))
    some = net.mapping(torch.randn(20_000, 512, generator=torch.Generator().manual_seed(5))).mean(dim=0)
    assert (mean - some).abs().max() < 0.05 < some.abs().max()


@pytest.mark.parametrize(
    ("file", "layout", "resolution"),
    [
        ("rosinality_g_running", ROSINALITY, 1024),
        ("genforce_ffhq1024", GENFORCE, 1024),
        ("genforce_256", GENFORCE, 256),
        ("genforce_small", GENFORCE, 128),
        ("lernapparat_ffhq1024", LERNAPPARAT, 1024),
        ("lernapparat_small", LERNAPPARAT, 128),
    ],
)
def test_published_layouts_are_known_key_by_key(file, layout, resolution):
    entries = reference_kit.manifest("stylegan1", f"manifest_{file}.json")
    tensors = {name: torch.empty(shape, device="meta") for name, shape, _ in entries if name != "synthesis.lod"}
    assert layouts.layout_of(tensors) is layout
    sizes = layout.sizes(tensors)
    known = {entry.name: entry.shape for entry in layout.entries(sizes)}
    assert known == {name: tuple(value.shape) for name, value in tensors.items()}
    with torch.device("meta"):
        state = StyleGAN1(sizes, Settings()).state_dict()
    into = {entry.into for entry in layout.entries(sizes)}
    assert into <= state.keys()
    made = ("mapping.w_avg", *([layouts.FIRST_BIAS] if layout is ROSINALITY else []))
    assert all(name.endswith("noise_const") or name in made for name in state.keys() - into)
    assert StyleGAN1(sizes._replace(channels=(1,) * len(sizes.channels))).resolution == resolution


def small(layout, levels=3):
    colours = [levels - 1] if layout is LERNAPPARAT else range(levels)
    sizes = layouts.Sizes(6, 6, 2, (8, 8, 4)[:levels], 3, tuple(colours))
    made = random_tensors({entry.name: entry.shape for entry in layout.entries(sizes)})
    for name, value in made.items():
        if ".dense" in name:
            made[name] = 100 * value  # learned at a hundredth of the rate
        if value.ndim == 4 and value.shape[1:] == (1, 3, 3):
            made[name] = BLUR.expand(value.shape).clone()
    return made


@pytest.mark.parametrize("layout", layouts.LAYOUTS, ids=lambda layout: layout.name)
def test_samples_do_not_depend_on_the_batch(layout, tmp_path):
    generator = loaded(small(layout), tmp_path)
    for mode in ("random", "const", "none"):
        gans.check_batches(generator, {"noise_mode": mode, "truncation_psi": 0.7, "truncation_cutoff": 3})
    again = loaded(small(layout), tmp_path)
    for one, other in zip(generator.network.const_noise(), again.network.const_noise(), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(generator.network.mapping.w_avg, again.network.mapping.w_avg)


@torch.no_grad()
def test_noise_follows_z_in_numpys_stream(tmp_path):
    """One map for both layers of a level in rosinality's layout, one per layer elsewhere."""
    for layout in (ROSINALITY, GENFORCE):
        generator = loaded(small(layout), tmp_path)
        (batch,) = binding.sample(Bound(generator), 1, 5, 1)
        state = np.random.RandomState(5)
        z = torch.from_numpy(state.randn(1, 6)).float()
        shared = layout is ROSINALITY
        sides = [4, 8, 16] if shared else [4, 4, 8, 8, 16, 16]
        noise = [torch.from_numpy(state.randn(1, 1, side, side)).float() for side in sides]
        noise = [each for each in noise for _ in range(2 if shared else 1)]
        net = generator.network
        expected = (net(net.styles(z), noise) + 1) / 2
        assert_close(batch.images, expected.clamp(0, 1).movedim(1, -1))


def test_levels_that_training_did_not_reach_are_left_out(tmp_path):
    tensors = small(ROSINALITY)
    whole = loaded(dict(tensors), tmp_path)
    assert whole.descriptor.height == 16
    for name, value in tensors.items():
        if name.startswith(("generator.progression.2.noise", "generator.to_rgb.2.conv.bias")):
            value.zero_()
    half = loaded(tensors, tmp_path)
    assert (half.descriptor.height, half.descriptor.latent_shape) == (8, (4, 6))
    (batch,) = binding.sample(Bound(half), 2, 0, 2)
    assert batch.images.shape == (2, 8, 8, 3)


@pytest.mark.parametrize("layout", layouts.LAYOUTS, ids=lambda layout: layout.name)
def test_every_layout_is_read_strictly(layout, tmp_path):
    tensors = small(layout)
    names = [name for name in tensors if name not in layout.sign]
    for name in (names[0], names[len(names) // 2]):
        without = {key: value for key, value in tensors.items() if key != name}
        with pytest.raises(BadCheckpoint):
            loaded(without, tmp_path)
        with pytest.raises(BadCheckpoint, match=name.rpartition(".")[0].replace(".", r"\.")):
            loaded({**tensors, f"{name.rpartition('.')[0]}.more": torch.zeros(1)}, tmp_path)
    blur = next(name for name in names if tensors[name].shape[1:] == (1, 3, 3))
    if len(tensors[blur]) > 1:
        tensors[blur][0] *= 2
        with pytest.raises(BadCheckpoint, match="blur differs"):
            loaded(tensors, tmp_path)


def test_a_lod_that_is_none_is_refused(tmp_path):
    for lod in (-1.0, 5.0, math.nan):
        with pytest.raises(BadCheckpoint, match="lod is"):
            loaded({**small(GENFORCE), "synthesis.lod": torch.tensor(lod)}, tmp_path)


@torch.no_grad()
def test_tensorflow_pickles_are_read_as_data(tmp_path):
    """Renamed and turned as the kit's map says, in the objects that dnnlib pickles: the same pictures."""
    tensors = {**small(GENFORCE), "synthesis.lod": torch.tensor(0.0)}
    for name in tensors:
        if name.endswith("blur.kernel"):
            tensors[name] = BLUR.expand(tensors[name].shape).clone()
    file = reference_kit.KIT / "stylegan1" / "tf_key_map_genforce_ffhq1024.json"
    rows = json.loads(file.read_text())["rows"]
    levels = 3
    variables = {}
    for ours, _, theirs, how in rows:
        if "output" in ours:
            level = int(ours.split(".")[1].removeprefix("output"))
            theirs = f"ToRGB_lod{levels - 1 - level}/{theirs.split('/')[1]}"
        if ours in tensors:
            value = tensors[ours].numpy()
            turned = value.T if how.startswith("transpose") else value
            variables[theirs] = value.transpose(2, 3, 1, 0) if how.startswith("permute") else turned
    assert len(variables) == sum(not name.endswith("blur.kernel") for name in tensors)
    path = tmp_path / "karras.pkl"
    path.write_bytes(tensorflow_pickles.snapshot(variables, own=("dlatent_avg", "lod"), mapping="Dense"))
    found = loading.load_generator(path)
    expected = loaded(tensors, tmp_path)
    assert "Gs" in " ".join(found.notes)
    pictures = [
        next(binding.sample(Bound(each, {"noise_mode": "const"}), 2, 7, 2)).images for each in (found, expected)
    ]
    assert_close(*pictures)
    assert not is_close(pictures[0][0], pictures[0][1])
    with pytest.raises((pickle.UnpicklingError, ModuleNotFoundError, AttributeError)):
        pickle.loads(path.read_bytes())
