"""Directions found, saved, loaded and followed, on the smallest GANs and a starter."""

import numpy as np
import pytest
import torch
from trilemma import host
from trilemma.host import standalone
from trilemma.models.errors import BadInput, CannotDo, MissingFile
from trilemma.models.generators.binding import Bound
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.tests.generators.directions.small import tiny
from trilemma.tests.generators.toy import Toy

pytestmark = pytest.mark.slow

Load, Sample, Find, Save, Read, Draw, Edit, Decode, Options = (
    NODE_CLASS_MAPPINGS[f"Trilemma{name}"]
    for name in (
        "LoadGenerator",
        "SampleImages",
        "LatentDirections",
        "SaveDirections",
        "LoadDirections",
        "DrawLatents",
        "EditLatent",
        "DecodeLatent",
        "GANOptions",
    )
)


def held(generator):
    return host.hold(Bound(generator), generator.modules)


@pytest.fixture
def styled(tmp_path):
    return Options().run(held(tiny("stylegan2", tmp_path)), noise_mode="const")[0]


@pytest.fixture
def places(tmp_path, monkeypatch):
    found = {name: tmp_path / name for name in ("models", "output", "input")}
    monkeypatch.setattr(standalone, "_places", {**standalone._places, **found})
    return found


@torch.inference_mode()
@pytest.mark.parametrize("psi", [1.0, 0.6])
def test_drawn_latents_are_those_of_the_samples(styled, psi):
    generator = Options().run(styled, truncation_psi=psi)[0]
    expected = Sample().run(generator, 5, 3)["result"][0]
    latent = Draw().run(generator, 5, 3)[0]
    assert (latent.space, latent.values.shape) == ("w", (5, 6, 6))
    torch.testing.assert_close(Decode().run(generator, latent, 3)["result"][0], expected, rtol=0, atol=1e-5)
    gaussian = Draw().run(generator, 5, 3, "z")[0]
    assert (gaussian.space, gaussian.values.shape) == ("z", (5, 8))
    torch.testing.assert_close(Decode().run(generator, gaussian, 3)["result"][0], expected, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_latents_are_drawn_in_whatever_batches_fit(styled, monkeypatch):
    expected = Draw().run(styled, 7, 3)[0].values
    drawing = type(styled.model.generator).latents

    def small(self, requests, options):
        if len(requests) > 2:
            raise torch.cuda.OutOfMemoryError("no room")
        return drawing(self, requests, options)

    monkeypatch.setattr(type(styled.model.generator), "latents", small)
    torch.testing.assert_close(Draw().run(styled, 7, 3)[0].values, expected, rtol=0, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize(("method", "far"), [("sefa", 2), ("pca", 2000)])
def test_from_directions_to_pictures(styled, method, far):
    """w of the small network hardly vary."""
    shown = Find().run(styled, method, 3, samples=200)
    directions, info = shown["result"]
    assert shown["ui"] == {"text": [info]}
    assert info.splitlines()[0] == "3 directions of w"
    assert all(name in info for name in directions.names)
    latent = Draw().run(styled, 2, 3)[0]
    moved, labels = Edit().run(styled, latent, directions, "1, 3", f"-{far}, 0, {far}", "0-2")["result"]
    assert labels.splitlines()[:4] == [
        f"{method} 1: -{far}",
        f"{method} 1: 0",
        f"{method} 1: +{far}",
        f"{method} 3: -{far}",
    ]
    assert len(moved.values) == len(labels.splitlines()) == 12
    assert torch.equal(moved.values[0][3:], latent.values[0][3:])
    pictures = Decode().run(styled, moved)["result"][0]
    still = Decode().run(styled, latent)["result"][0]
    torch.testing.assert_close(pictures[[1, 7]], still, rtol=0, atol=1e-5)
    assert (pictures[0] - pictures[2]).abs().max() > 1e-2


@torch.inference_mode()
def test_a_mix_is_one_edit_behind_another(styled):
    directions, _ = Find().run(styled, "sefa", 3)["result"]
    latent = Draw().run(styled, 2, 3)[0]
    first = Edit().run(styled, latent, directions, "sefa 1", "1.5")["result"][0]
    second = Edit().run(styled, first, directions, "3", "-2")["result"][0]
    mixed, labels = Edit().run(styled, latent, directions, "1", "9", mix="sefa 1: 1.5\n 3 : -2")["result"]
    torch.testing.assert_close(mixed.values, second.values, rtol=0, atol=1e-5)
    assert labels.splitlines() == ["sefa 1: +1.5, sefa 3: -2"] * 2
    with pytest.raises(BadInput, match="mix: there is no 'smile'"):
        Edit().run(styled, latent, directions, "1", "0", mix="smile: 1")


@torch.inference_mode()
def test_a_preview_is_what_decoding_draws(styled, monkeypatch, tmp_path):
    monkeypatch.setattr(host, "has_page", lambda: True)
    monkeypatch.setattr(host, "temp_folder", lambda: tmp_path / "temp")
    directions, _ = Find().run(styled, "sefa", 2)["result"]
    latent = Draw().run(styled, 1, 3)[0]
    plain = Edit().run(styled, latent, directions, "1", "0, 1")
    assert plain["ui"] == {"trilemma_explorer": [{"names": ["sefa 1", "sefa 2"]}]}
    shown = Edit().run(styled, latent, directions, "1", "0, 1", preview=True)
    decoded = Decode().run(styled, shown["result"][0])
    (panel,), (expected,) = shown["ui"]["trilemma_samples"], decoded["ui"]["trilemma_samples"]
    assert [each["filename"] for each in panel["pictures"]] == [each["filename"] for each in expected["pictures"]]
    assert [each["condition"] for each in panel["pictures"]] == ["sefa 1: 0", "sefa 1: +1"]


@torch.inference_mode()
def test_a_walk_of_components_is_interrupted_within_a_batch(styled):
    standalone.interrupt()
    with pytest.raises(standalone.Interrupted):
        Find().run(styled, "pca", 3)


@torch.inference_mode()
def test_saved_directions_are_loaded(styled, places):
    directions, _ = Find().run(styled, "sefa", 3, "1-2")["result"]
    same, name = Save().run(directions, "mine/pose")["result"]
    assert (same, name) == (directions, "mine/pose.safetensors")
    loaded, info = Read().run(styled, "output", name)["result"]
    assert torch.equal(loaded.vectors, directions.vectors)
    assert info.splitlines()[0] == "3 directions of w, layers 1-2"
    with pytest.raises(BadInput, match=r"pose\.safetensors is there; switch overwrite on"):
        Save().run(directions, "mine/pose")
    with pytest.raises(BadInput, match="leads out of"):
        Save().run(directions, "../pose")


def test_boundaries_lie_in_the_model_folder(styled, places):
    folder = places["models"] / "directions"
    folder.mkdir(parents=True)
    before = Read.IS_CHANGED(location="models", file="age_w_boundary.npy", generator=styled)
    with pytest.raises(
        MissingFile, match=r"'age_w_boundary\.npy' is not in the model folder 'directions'; put it into"
    ):
        Read().run(styled, "models", "age_w_boundary.npy")
    np.save(folder / "age_w_boundary.npy", np.ones((1, 6)))
    assert Read.IS_CHANGED(location="models", file="age_w_boundary.npy", generator=styled) != before
    loaded, _ = Read().run(styled, "models", "age_w_boundary.npy")["result"]
    assert (loaded.names, loaded.space) == (("age_w_boundary",), "w")
    with pytest.raises(MissingFile):
        Read().run(styled, "models", "../directions/age_w_boundary.npy")


def test_z_of_a_stylegan_is_edited_too(styled, places):
    (places["input"]).mkdir()
    np.save(places["input"] / "age.npy", np.ones((1, 8), np.float32))
    loaded, _ = Read().run(styled, "input", "age.npy", "z")["result"]
    moved, _ = Edit().run(styled, Draw().run(styled, 1, 0, "z")[0], loaded, "age", "1")["result"]
    assert Decode().run(styled, moved)["result"][0].shape == (1, 16, 16, 3)
    with pytest.raises(BadInput, match="directions: they are of z, but the latents are in w"):
        Edit().run(styled, Draw().run(styled, 1, 0)[0], loaded, "age", "1")


@torch.inference_mode()
def test_a_plain_gan_by_its_first_layer(tmp_path):
    generator = held(tiny("dcgan", tmp_path))
    directions, info = Find().run(generator, "sefa", 4)["result"]
    assert info.splitlines()[0] == "4 directions of z"
    moved, _ = Edit().run(generator, Draw().run(generator, 1, 0)[0], directions, "*", "3")["result"]
    assert (Decode().run(generator, moved)["result"][0].std(dim=0)).max() > 1e-3
    with pytest.raises(CannotDo, match="take the method sefa"):
        Find().run(generator, "pca", 4)


def test_what_has_none_says_so():
    with pytest.raises(CannotDo, match="generator: Toy cannot factorise; it can: sample, encode"):
        Find().run(held(Toy()), "sefa", 4)


@torch.inference_mode()
def test_the_starters_first_direction_moves_it_the_most():
    """The picture moves further along the first than along a mean one of the last ten."""
    generator = Options().run(Load().run("starter emoji stylegan2")["result"][0], noise_mode="const")[0]
    directions, _ = Find().run(generator, "sefa", 64)["result"]
    latent = Draw().run(generator, 8, 0)[0]
    still = Decode().run(generator, latent)["result"][0]
    moved = [
        Decode().run(generator, Edit().run(generator, latent, directions, which, "3")["result"][0])["result"][0]
        for which in ("1", "64")
    ]
    first, last = ((pictures - still).square().mean().sqrt() for pictures in moved)
    assert first > 2 * last
