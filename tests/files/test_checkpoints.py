import json
import os
import pickle
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from trilemma.models.errors import BadCheckpoint, CannotDo, MissingFile
from trilemma.models.files import catalog, checkpoints, groups, paths
from trilemma.tests import reference_kit

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.float16)}


def same(found, expected=TENSORS):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], value) for key, value in expected.items())


def test_safetensors_with_metadata(tmp_path):
    path = tmp_path / "x.safetensors"
    save_file(TENSORS, path, {"trilemma": '{"heads": 4}'})
    checkpoint = checkpoints.read(path)
    same(checkpoint.tensors)
    assert checkpoints.described(checkpoint.metadata) == {"heads": 4}


@pytest.mark.parametrize("wrap", [lambda t: t, lambda t: {"model": t}, lambda t: {"state_dict": t, "epoch": 3}])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod."])
@pytest.mark.parametrize("new_format", [True, False])
def test_wrappers_and_prefixes_are_taken_off(tmp_path, wrap, prefix, new_format):
    path = tmp_path / "x.pth"
    content = wrap({prefix + key: value for key, value in TENSORS.items()})
    torch.save(content, path, _use_new_zipfile_serialization=new_format)
    same(checkpoints.read(path).tensors)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_truncated_file(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    big = {"a": torch.zeros(1000)}
    if suffix == ".pth":
        torch.save(big, path)
    else:
        save_file(big, path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(BadCheckpoint, match=rf"x{suffix}: .*2,?000 bytes.*cut short"):
        checkpoints.read(path)


TEXT = b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 4265437280\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"hello", "a text file .5 bytes; it begins 'hello'"),
        (b"Sorry, no.", "a text file .10 bytes; it begins 'Sorry, no.'"),
        (b'{"error": "not found"}', "a text file"),
        (TEXT, "a Git LFS pointer"),
        (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "a web page"),
        (b"PK\x03\x04 no archive", "begins as a zip archive, .*cut short"),
        (b"\x1f\x8b\x08" + bytes(50), "a gzip archive: unpack it"),
        (b"\x89HDF\r\n" + bytes(50), "an HDF5 file"),
        (b"\x89PNG\r\n" + bytes(50), "a PNG picture"),
        (bytes(257) + b"ustar" + bytes(250), "a tar archive"),
        (bytes(1000), "no checkpoint .1000 bytes that begin 00 00 00 00 00 00 00 00.*damaged"),
        (pickle.dumps([1, 2]), "holds no weights .found a list of 2 values"),
        (pickle.dumps((SimpleNamespace(a=1),) * 2), "holds no weights .found a tuple of types.SimpleNamespace, types"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_no_checkpoint(content, said, suffix, tmp_path):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    if suffix == ".safetensors" and content[:1] in (b"P", b"\x80"):
        said = r"no safetensors file but a PyTorch one.*name it \.pth"
    with pytest.raises(BadCheckpoint, match=rf"x{suffix}: it .*{said}"):
        checkpoints.read(path)


def test_a_safetensors_file_of_another_name(tmp_path):
    save_file(TENSORS, tmp_path / "x.ckpt")
    with pytest.raises(BadCheckpoint, match=r"x\.ckpt: it is a safetensors file; name it x\.safetensors"):
        checkpoints.read(tmp_path / "x.ckpt")


def listed(path, count):
    """A safetensors file of so many tensors of one element, with bytes behind them."""
    entries = {f"t{n}": {"dtype": "F32", "shape": [1], "data_offsets": [4 * n, 4 * n + 4]} for n in range(count)}
    header = json.dumps(entries).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4 * count))


def test_more_tensors_than_any_network_has(tmp_path, monkeypatch):
    """A list of 300,000 takes the library 450 MB."""
    monkeypatch.setattr(checkpoints, "MAX_VALUES", 100)
    listed(tmp_path / "x.safetensors", 100)
    assert len(checkpoints.read(tmp_path / "x.safetensors").tensors) == 100
    listed(tmp_path / "x.safetensors", 101)
    with pytest.raises(BadCheckpoint, match=r"lists 101 tensors, more than any network has"):
        checkpoints.read(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda raw: raw + bytes(5), r"has [\d,]+ bytes and needs [\d,]+: 5 surplus ones lie behind its tensors"),
        (lambda raw: raw[:-5], r"has [\d,]+ bytes of the [\d,]+ that it needs: it is cut short"),
        (lambda raw: raw[:50], "list of tensors is damaged, or cut short"),
        (lambda raw: raw.replace(b'"F32"', b'"X32"', 1), "list of tensors is damaged, though its size, .* is right"),
    ],
)
def test_what_is_wrong_with_a_safetensors_file(change, said, tmp_path):
    path = tmp_path / "x.safetensors"
    listed(path, 3)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(BadCheckpoint, match=said) as told:
        checkpoints.read(path)
    assert ("cut short" in str(told.value)) == ("cut short" in said)


@pytest.mark.parametrize("key", [checkpoints.OWN_KEY, checkpoints.VALUES_KEY, checkpoints.NOTES_KEY])
@pytest.mark.parametrize("text", ["{", "5", '"a"', "[" * 100_000, "null"])
def test_damaged_metadata_of_our_own(key, text, tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "x.safetensors", {key: text})
    with pytest.raises(BadCheckpoint, match=rf"x\.safetensors: its metadata '{key}' is damaged"):
        checkpoints.read(tmp_path / "x.safetensors")


def test_no_file(tmp_path):
    with pytest.raises(MissingFile, match=r"x\.pth: there is no such file in"):
        checkpoints.read(tmp_path / "x.pth")


@pytest.mark.parametrize("kind", [".safetensors", ".pth", "old .pth"])
def test_larger_than_memory(kind, tmp_path, monkeypatch):
    path = tmp_path / f"x{kind[-4:] if 'pth' in kind else kind}"
    weights = {"w": torch.zeros(10**6)}
    if kind == ".safetensors":
        save_file(weights, path)
    else:
        torch.save({**weights}, path, _use_new_zipfile_serialization=kind == ".pth")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=3_000_000))
    with pytest.raises(CannotDo, match=r"its weights take 4 MB, but only 3 MB of memory are free"):
        checkpoints.read(path)


DTYPES = [
    *(torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.complex64, torch.complex128),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool, torch.float8_e4m3fn, torch.uint16),
]


def raw(tensor):
    """The bytes of the values, for dtypes that nothing can compare."""
    return tensor.detach().reshape(-1).contiguous().view(torch.uint8).tolist()


@pytest.mark.parametrize("new_format", [True, False])
def test_every_dtype_and_view_comes_back(new_format, tmp_path):
    base = torch.arange(24.0).reshape(4, 6)
    weights = {str(dtype): base.to(dtype) for dtype in DTYPES}
    weights |= {"view": base[1:, ::2], "transposed": base.t(), "tied": base, "expanded": base[:1].expand(3, 6)}
    weights |= {"none": torch.empty(0, 3), "number": torch.tensor(7), "parameter": nn.Parameter(base)}
    torch.save(weights, tmp_path / "x.pt", _use_new_zipfile_serialization=new_format)
    found = checkpoints.read(tmp_path / "x.pt").tensors
    assert found.keys() == weights.keys()
    for name, value in weights.items():
        assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape), name
        assert raw(found[name]) == raw(value), name
    assert found["tied"].data_ptr() == found["transposed"].data_ptr()


def test_writing_to_a_tensor_leaves_the_file_alone(tmp_path):
    torch.save(TENSORS, tmp_path / "x.pt")
    before = (tmp_path / "x.pt").read_bytes()
    checkpoints.read(tmp_path / "x.pt").tensors["b"].fill_(9)
    assert (tmp_path / "x.pt").read_bytes() == before


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.size = 4
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Identity())
        self.register_buffer("table", torch.ones(2))
        self.register_buffer("scratch", torch.ones(2), persistent=False)


@pytest.mark.slow
@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.filterwarnings("ignore")
def test_a_module_saved_whole(new_format, tmp_path):
    net = Net()
    torch.save({"ema": net, "epoch": 2}, tmp_path / "x.pt", _use_new_zipfile_serialization=new_format)
    checkpoint = checkpoints.read(tmp_path / "x.pt")
    same(checkpoint.tensors, net.state_dict())
    assert checkpoint.values == {"epoch": 2, "size": 4, "training": True}


OTHER = {"c": torch.zeros(1)}


@pytest.mark.parametrize(
    ("content", "notes"),
    [
        ({"model": OTHER, "ema": TENSORS}, ("took the EMA weights (ema) of 2 networks (model, ema) in the file",)),
        (
            {"g": OTHER, "d": OTHER, "g_ema": TENSORS, "path_mean": torch.ones(3)},
            (
                "took the EMA weights (g_ema) of 3 networks (g, d, g_ema) in the file",
                "left out what the file also holds: path_mean",
            ),
        ),
        ({"params_ema": TENSORS}, ("took the EMA weights (params_ema) of 1 network (params_ema) in the file",)),
        ({"params": OTHER, "params_ema": TENSORS}, None),
        ({"model": OTHER, "model_ema": TENSORS}, None),
        (
            {"generator": TENSORS, "discriminator": OTHER},
            ("took generator of 2 networks (generator, discriminator) in the file",),
        ),
        ({"model": {"netG": TENSORS, "netD": OTHER, "netC": OTHER}, "optimizers": {"a": OTHER}}, None),
        ({"state_dict": {"module": TENSORS}, "optimizer": {"state": OTHER}}, ()),
        (
            {"ema": {"shadow_params": [torch.ones(1)], "decay": 0.9}, "net": TENSORS},
            (
                "took net of 2 networks (net, ema.shadow_params) in the file",
                "the averaged weights (ema.shadow_params) were left aside: a list of 1 tensors without names, which "
                "are of no network in the file",
            ),
        ),
        (
            {
                f"{part}.{key}": value
                for part, own in (("model", -1), ("ema_model", 1))
                for key, value in TENSORS.items()
                for value in (value * own,)
            },
            ("took the EMA weights (ema_model.*) of 2 networks (model, ema_model) in the file",),
        ),
        (
            {**{f"generator.{key}": value for key, value in TENSORS.items()}, "discriminator.a": torch.ones(1)},
            ("took generator.* of 2 networks (generator, discriminator) in the file",),
        ),
    ],
)
def test_of_several_networks_the_one_to_draw_with_is_taken(content, notes, tmp_path):
    torch.save(content, tmp_path / "x.pt")
    checkpoint = checkpoints.read(tmp_path / "x.pt")
    same(checkpoint.tensors)
    assert notes is None or checkpoint.notes == notes
    assert checkpoint.path == tmp_path / "x.pt"


def test_the_mean_of_w_beside_a_stylegan2_is_its_own(tmp_path):
    """As rosinality's converter writes it."""
    torch.save({"g": OTHER, "g_ema": TENSORS, "latent_avg": torch.ones(3)}, tmp_path / "x.pt")
    checkpoint = checkpoints.read(tmp_path / "x.pt")
    same(checkpoint.tensors, {**TENSORS, "latent_avg": torch.ones(3)})
    assert checkpoint.notes == ("took the EMA weights (g_ema) of 2 networks (g, g_ema) in the file",)


def test_parts_of_one_model_stay_together(tmp_path):
    """A prefix that only some names have, or that a family's names begin with, is not the reader's to take off."""
    for weights in (
        {"model.a": torch.ones(1), "model.b": torch.ones(2)},
        {"module.a": torch.ones(1), "b": torch.ones(2)},
        {"model.a": torch.ones(1), "model_ema.a": torch.ones(1), "first_stage_model.a": torch.ones(1)},
        {"encoder.a": torch.ones(1), "decoder.a": torch.ones(1)},
    ):
        torch.save({"state_dict": weights}, tmp_path / "x.pt")
        checkpoint = checkpoints.read(tmp_path / "x.pt")
        same(checkpoint.tensors, weights)
        assert checkpoint.notes == ()


def test_a_prefix_that_all_have_is_taken_off():
    assert groups.without_prefix({"model.a": 1, "model.model.b": 2}, "model.") == {"a": 1, "model.b": 2}
    assert groups.without_prefix({"model.a": 1, "loss": 2}, "model.") == {"model.a": 1, "loss": 2}


def test_the_snapshot_of_the_reference():
    """A StyleGAN2-ADA pickle: names, shapes, values and settings, from objects of classes that are not here."""
    folder = reference_kit.KIT / "stylegan2_ada"
    checkpoint = checkpoints.read(folder / "snapshot_tiny_blank_source.pkl")
    manifest = reference_kit.manifest("stylegan2_ada", "manifest_tiny_pickle.json")
    assert [(name, tuple(value.shape)) for name, value in checkpoint.tensors.items()] == [
        (name, shape) for name, shape, _ in manifest
    ]
    expected = reference_kit.weights(reference_kit.case("stylegan2_ada", "golden_tiny_pickle"))
    assert len(expected) > 50
    same({name: checkpoint.tensors[name] for name in expected}, expected)
    tiny = json.loads((folder / "snapshot_pickle_structure.json").read_text())["tiny_config"]
    assert checkpoint.values["_init_kwargs"] == tiny
    assert {key: checkpoint.values[key] for key in ("z_dim", "w_dim", "img_resolution")} == {
        "z_dim": 32,
        "w_dim": 32,
        "img_resolution": 32,
    }
    assert checkpoint.notes == ("took the EMA weights (G_ema) of 2 networks (D, G_ema) in the file",)


REAL = Path(os.environ.get("TRILEMMA_REAL_WEIGHTS") or "none")


@pytest.mark.weights
@pytest.mark.skipif(not REAL.is_dir(), reason="TRILEMMA_REAL_WEIGHTS names no folder of published weights")
@pytest.mark.parametrize("file", ["mnist/vae_epoch_25.pth", "mnist/G--300.ckpt", "taesd/taef2_encoder.pth"])
def test_published_weights(file):
    expected = torch.load(REAL / file, map_location="cpu", weights_only=True)
    same(checkpoints.read(REAL / file).tensors, expected)


def test_checkpoint_without_tensors(tmp_path):
    path = tmp_path / "x.pth"
    torch.save({"epoch": 3}, path)
    with pytest.raises(BadCheckpoint, match="holds no weights"):
        checkpoints.read(path)


def test_fingerprint_sees_a_replaced_file(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    path = folder / "weights"
    path.write_bytes(b"one")
    first = paths.fingerprint(path), paths.fingerprint(folder)
    time.sleep(0.01)
    path.write_bytes(b"two")
    second = paths.fingerprint(path), paths.fingerprint(folder)
    assert first[0] != second[0]
    assert first[1] != second[1]
    assert (paths.fingerprint(path), paths.fingerprint(folder)) == second


@pytest.mark.parametrize("kind", ["detector", "segmenter", "inpainter", "generator", "extractor"])
def test_missing_file_says_where_from_and_where_to(kind, tmp_path):
    for file in catalog.PUBLISHED[kind]:
        message = str(catalog.missing_file(kind, f"sub/{file.name}", tmp_path))
        facts = (f"{file.bytes:,} bytes", file.sha256) if file.bytes else ()
        for fact in (file.name, file.source, *facts, str(tmp_path)):
            assert fact in message
        assert str(tmp_path / "sub") in message
    unknown = str(catalog.missing_file(kind, "mine.pth", tmp_path))
    assert "mine.pth" in unknown
    assert str(tmp_path) in unknown
    assert catalog.starter_names(kind)[0] in unknown
