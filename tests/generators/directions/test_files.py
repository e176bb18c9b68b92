"""Files of directions: the pack's own come back as they were, those of others are read as data or refused clearly."""

import json
import os

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from trilemma.models.errors import BadCheckpoint, BadInput, MissingFile
from trilemma.models.generators.directions import files
from trilemma.models.generators.directions.base import Directions, summary
from trilemma.models.generators.directions.factorisation import factorise
from trilemma.tests.generators.directions.small import tiny

W, LAYERS, Z = 6, 6, 8


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    return tiny("stylegan2", tmp_path_factory.mktemp("tiny"))


def equal(one: Directions, other: Directions) -> bool:
    return one._replace(vectors=None) == other._replace(vectors=None) and torch.equal(one.vectors, other.vectors)


@pytest.mark.parametrize("layers", ["", "1-2"])
@pytest.mark.parametrize("count", [1, LAYERS])
def test_own_files_come_back(count, layers, generator, tmp_path):
    """Also as many of w as there are layers, which look like one of a whole latent."""
    directions = factorise(generator, count, layers)
    path = tmp_path / "a" / "set.safetensors"
    files.save(path, directions)
    assert equal(files.load(path, generator, "z"), directions)
    with pytest.raises(BadInput, match=r"file: set\.safetensors is there; switch overwrite on"):
        files.save(path, directions)
    other = directions._replace(vectors=directions.vectors * 2)
    files.save(path, other, overwrite=True)
    assert equal(files.load(path, generator, "w"), other)


def test_whole_latents_come_back(generator, tmp_path):
    directions = Directions(("a", "b"), torch.randn(2, LAYERS, W), "w", (), "x")
    files.save(tmp_path / "x.safetensors", directions)
    assert equal(files.load(tmp_path / "x.safetensors", generator, "w"), directions)
    assert "made from other weights" in summary(directions, generator.identity)


def stored(path, value):
    torch.save(value, path) if path.suffix == ".pt" else np.save(path, value.numpy())
    return path


@pytest.mark.parametrize("ending", [".npy", ".pt"])
@pytest.mark.parametrize(
    ("shape", "space", "found"),
    [
        ((1, W), "w", (1, W)),
        ((W,), "w", (1, W)),
        ((3, W), "w", (3, W)),
        ((3, 1, W), "w", (3, W)),
        ((LAYERS, 1, W), "w", (LAYERS, W)),
        ((LAYERS, W), "w", (1, LAYERS, W)),
        ((1, LAYERS, W), "w", (1, LAYERS, W)),
        ((2, LAYERS, W), "w", (2, LAYERS, W)),
        ((1, Z), "z", (1, Z)),
    ],
)
def test_arrays_of_others(shape, space, found, ending, generator, tmp_path):
    value = torch.randn(shape, dtype=torch.float64)
    loaded = files.load(stored(tmp_path / f"age{ending}", value), generator, space)
    assert torch.equal(loaded.vectors, value.float().reshape(found))
    assert loaded.names == (("age",) if len(loaded.vectors) == 1 else tuple(f"age {k + 1}" for k in range(found[0])))
    assert (loaded.space, loaded.layers, loaded.identity) == (space, (), "")


def test_several_by_name_or_in_a_list(generator, tmp_path):
    several = {"smile": torch.randn(W), "age": torch.randn(1, W), "note": "x", "bias": torch.tensor(0.5)}
    torch.save(several, tmp_path / "faces.pt")
    loaded = files.load(tmp_path / "faces.pt", generator, "w")
    assert loaded.names == ("smile", "age")
    assert torch.equal(loaded.vectors, torch.stack([several["smile"], several["age"][0]]))
    torch.save([torch.ones(W), torch.zeros(1, W)], tmp_path / "faces.pt")
    assert files.load(tmp_path / "faces.pt", generator, "w").names == ("1", "2")


def test_factors_of_rosinality_are_columns(generator, tmp_path):
    factors = torch.randn(W, W)
    torch.save({"ckpt": "550000.pt", "eigvec": factors}, tmp_path / "factor.pt")
    loaded = files.load(tmp_path / "factor.pt", generator, "w")
    assert loaded.names[2] == "eigvec 3"
    assert torch.equal(loaded.vectors, factors.T)


def test_components_are_scaled_by_their_deviations(generator, tmp_path):
    parts = {"mean": torch.randn(1, W), "comp": torch.randn(4, 1, W), "std": torch.rand(4)}
    torch.save(parts, tmp_path / "ffhq_pca.pt")
    loaded = files.load(tmp_path / "ffhq_pca.pt", generator, "w")
    assert loaded.names == ("pca 1", "pca 2", "pca 3", "pca 4")
    torch.testing.assert_close(loaded.vectors, parts["comp"][:, 0] * parts["std"][:, None])


@pytest.mark.parametrize(
    ("shape", "space", "message"),
    [
        ((1, 512), "w", r"age\.npy is of shape 1 x 512; latents of StyleGAN2 have 6 numbers in w for each of 6 layers"),
        ((1, W), "z", r"age\.npy is of shape 1 x 6; latents of StyleGAN2 have 8 numbers in z\. Choose a file that was"),
        ((1, W), "p", r"space: latents of StyleGAN2 are not in p \(known: w and z\)"),
    ],
)
def test_arrays_of_other_models(shape, space, message, generator, tmp_path):
    with pytest.raises(BadInput, match=message):
        files.load(stored(tmp_path / "age.npy", torch.ones(shape)), generator, space)


def test_a_file_of_a_model_with_other_latents(generator, tmp_path):
    plain = tiny("mlp_gan", tmp_path)
    files.save(tmp_path / "x.safetensors", factorise(generator, 2))
    with pytest.raises(BadInput, match=r"latents of MLP GAN are not in w \(known: z\)"):
        files.load(tmp_path / "x.safetensors", plain, "z")
    files.save(tmp_path / "y.safetensors", Directions(("a",), torch.ones(1, W), "w", (17,)))
    with pytest.raises(
        BadInput, match=r"of y\.safetensors have 6 numbers and are of layers up to 17; latents of StyleGAN2"
    ):
        files.load(tmp_path / "y.safetensors", generator, "w")


class Evil:
    def __reduce__(self):
        return os.system, ("touch never",)


def test_nothing_in_a_file_is_executed(generator, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("evil.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    torch.save({"a": Evil(), "b": torch.ones(W)}, "evil.pt")
    with pytest.raises(BadCheckpoint, match=r"file: evil\.npy: it holds Python objects, which are not read"):
        files.load(tmp_path / "evil.npy", generator, "w")
    with pytest.raises(BadCheckpoint, match=r"file: evil\.pt: "):
        files.load(tmp_path / "evil.pt", generator, "w")
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npy", b"", "it is empty"),
        ("a.npy", b"<!doctype html>", "it is a web page"),
        ("a.npy", b"\x93NUMPY\x01\x00v\x00{'descr': '<f4'", "damaged, or cut short"),
        ("a.pt", b"PK\x03\x04" + bytes(100), "zip archive"),
    ],
)
def test_broken_files(name, content, message, generator, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadCheckpoint, match=f"file: {name}: .*{message}"):
        files.load(tmp_path / name, generator, "w")


def test_an_array_that_claims_more_than_is_there(generator, tmp_path):
    path = stored(tmp_path / "a.npy", torch.ones(1000, W))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(BadCheckpoint, match="damaged, or cut short"):
        files.load(path, generator, "w")


def test_values_that_are_none(generator, tmp_path):
    with pytest.raises(BadCheckpoint, match=r"file: a\.npy holds values that are not numbers"):
        files.load(stored(tmp_path / "a.npy", torch.full((1, W), torch.nan)), generator, "w")
    np.save(tmp_path / "b.npy", np.array(["x"]))
    with pytest.raises(BadCheckpoint, match=r"file: b\.npy: it holds <U1, no numbers"):
        files.load(tmp_path / "b.npy", generator, "w")
    torch.save({"step": 3}, tmp_path / "c.pt")
    with pytest.raises(BadCheckpoint, match=r"file: c\.pt holds no directions"):
        files.load(tmp_path / "c.pt", generator, "w")
    with pytest.raises(MissingFile, match=r"file: there is no d\.npy in"):
        files.load(tmp_path / "d.npy", generator, "w")


@pytest.mark.parametrize("facts", [[], {"names": ["a"]}, {"names": [1], "layers": [], "space": "w", "identity": ""},
                                   {"names": ["a"], "layers": [-1], "space": "w", "identity": ""}])  # fmt: skip
def test_own_files_that_make_no_sense(facts, generator, tmp_path):
    path = tmp_path / "x.safetensors"
    save_file({"directions": torch.ones(1, W)}, path, {"trilemma": json.dumps({"directions": facts})})
    with pytest.raises(BadCheckpoint, match=r"file: x\.safetensors does not say of its directions what they are"):
        files.load(path, generator, "w")
