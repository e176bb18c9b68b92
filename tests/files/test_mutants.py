"""Five hundred damaged and forged files of every format: refused, or read as they were; `make test-fuzz` opens more."""

import io
import json
import os
import pickle
import re
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from trilemma.models.errors import BadCheckpoint
from trilemma.models.files import checkpoints, folders
from trilemma.models.files.numpy_arrays import read_array
from trilemma.models.files.unpickling import arrays
from trilemma.models.files.unpickling.machine import Budget
from trilemma.models.scoring.features import npz
from trilemma.tests.files.mutants import judging, making, running, zips
from trilemma.tests.files.mutants.seeds import SEEDS, Seed


@pytest.mark.slow
@pytest.mark.parametrize("kind", SEEDS)
def test_damaged_and_forged_files(kind, tmp_path):
    count = running.count_here(kind, making.seeds_of(kind, tmp_path), range(500))
    assert not count.findings, count.findings[0]
    assert count.refused > 100
    assert count.equal
    assert count.refused + count.equal + count.other == 500


@pytest.mark.parametrize("kind", ["archive", "folder"])
def test_a_number_stands_for_one_mutant(kind, tmp_path):
    seeds = making.seeds_of(kind, tmp_path)
    made = [making.mutant(kind, number, seeds) for number in range(40)]
    assert made == [making.mutant(kind, number, seeds) for number in range(40)]
    assert len({repr(each.files) for each in made}) > 30


def test_broken_promises_are_seen(tmp_path, monkeypatch):
    """Each kind of fault, by readers that have it."""
    seed = Seed("array", {"x.npy": b"x"})
    mutant = making.Mutant(0, seed, seed.files, "none", "values")
    kept = {"": torch.ones(3)}
    watch = judging.Watch()

    def fault(reader):
        monkeypatch.setattr(judging, "opened", lambda kind, path: reader(path))
        return judging.judged("array", mutant, kept, tmp_path, watch).fault

    def refuse(path):
        raise BadCheckpoint("no")

    assert fault(lambda path: {"": torch.ones(3)}) == ""
    assert fault(lambda path: {"": torch.zeros(3)}).startswith("another tensor without a word")
    assert "ZeroDivisionError" in fault(lambda path: 1 / 0)
    assert "does not name the file" in fault(refuse)
    assert "subprocess.Popen" in fault(lambda path: subprocess.run([sys.executable, "-c", ""], check=True) and kept)
    assert fault(lambda path: (path.parent / "other").write_bytes(b"") or kept).startswith(
        "asked this process for open"
    )
    if os.path.exists("/proc/self/clear_refs"):
        # Of memory that was freed before, a part may be taken again.
        said = fault(lambda path: {"": torch.from_numpy(np.ones(400 * 2**20, np.uint8))[:3]})
        assert re.fullmatch(r"took [34]\d\d MB for 1 bytes", said)


@pytest.mark.slow
def test_an_end_of_the_process_is_known_by_its_number(tmp_path, monkeypatch):
    """The others of its block are opened all the same, and a second run goes on behind."""

    def judged(kind, mutant, *rest):
        if mutant.number == 7:
            os._exit(9)
        return judging.Verdict("refused", "", 0.0, 0, "")

    monkeypatch.setattr(running, "judged", judged)
    state = tmp_path / "state.json"
    count = running.run(["array"], 12, state, 1)["array"]
    assert (count.done, count.refused) == (12, 11)
    assert [json.loads(finding)["number"] for finding in count.findings] == [7]
    assert running.run(["array"], 12, state, 1)["array"] == count
    assert running.run(["array"], 15, state, 1)["array"].refused == 14


def test_an_archive_that_hides_its_checksums_is_refused(tmp_path):
    """Its list says that there are none, while its records have them."""
    path = tmp_path / "x.pth"
    for raw in (_torch_archive(), zips.packed(zips.records(_torch_archive()))):
        path.write_bytes(raw)
        assert torch.equal(checkpoints.read(path).tensors["w"], torch.arange(4.0))
        changed = bytearray(raw)
        place = -1
        while (place := changed.find(b"PK\x01\x02", place + 1)) >= 0:
            changed[place + 16 : place + 20] = bytes(4)
        path.write_bytes(changed)
        with pytest.raises(
            BadCheckpoint, match=r"x\.pth: its record .* has a checksum, but the archive's list has none"
        ):
            checkpoints.read(path)


def _torch_archive():
    stream = io.BytesIO()
    torch.save({"w": torch.arange(4.0)}, stream)
    return stream.getvalue()


def test_a_name_that_is_there_twice_is_refused(tmp_path):
    """By flipped bits one name becomes another's, and one of both tensors would be lost."""
    save_file({"a": torch.ones(2), "b": torch.zeros(2)}, tmp_path / "x.safetensors")
    raw = (tmp_path / "x.safetensors").read_bytes()
    (tmp_path / "x.safetensors").write_bytes(raw.replace(b'"b"', b'"a"'))
    with pytest.raises(BadCheckpoint, match=r"x\.safetensors: its list of tensors has 'a' twice"):
        checkpoints.read(tmp_path / "x.safetensors")
    torch.save({"a": torch.ones(2), "b": torch.zeros(2)}, tmp_path / "x.pt", _use_new_zipfile_serialization=False)
    raw = (tmp_path / "x.pt").read_bytes()
    (tmp_path / "x.pt").write_bytes(raw.replace(b"X\x01\x00\x00\x00b", b"X\x01\x00\x00\x00a"))
    with pytest.raises(BadCheckpoint, match=r"x\.pt: it has its entry 'a' twice"):
        checkpoints.read(tmp_path / "x.pt")


@pytest.mark.parametrize("protocol", [4, 5])
def test_texts_of_no_letters_are_refused(protocol, tmp_path):
    raw = pickle.dumps({"w": np.ones(2), "names": np.array(["a", "b"])}, protocol)
    letters = "ab".encode("utf-32-le")
    assert letters in raw
    (tmp_path / "x.pkl").write_bytes(raw.replace(letters, letters[:7] + b"\x7f"))
    with pytest.raises(BadCheckpoint, match=r"x\.pkl: .*numbers that are no letters"):
        checkpoints.read(tmp_path / "x.pkl")


def test_shapes_that_overflow_are_refused(tmp_path):
    """Of a tensor without elements the library compares no side."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [0, 2**64 - 1], "data_offsets": [0, 0]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(BadCheckpoint, match=r"x\.safetensors: not a whole safetensors file"):
        checkpoints.read(tmp_path / "x.safetensors")


def test_an_index_without_tensors_is_refused(tmp_path):
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {}}')
    with pytest.raises(BadCheckpoint, match=r"model\.safetensors\.index\.json has no weight_map"):
        folders.read_weights(tmp_path)


@pytest.mark.parametrize("name", ["x" * 300, "x\0y"], ids=["long", "zero"])
def test_an_index_that_names_what_no_folder_holds_is_refused(name, tmp_path):
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(BadCheckpoint, match="names a file that no folder can hold"):
        folders.read_weights(tmp_path)


def test_a_layout_that_is_a_tensor_is_not_printed(tmp_path, monkeypatch):
    """To print one imports modules of PyTorch that nobody has asked for."""
    monkeypatch.setattr(torch.Tensor, "__repr__", lambda self: pytest.fail("printed"))
    with pytest.raises(ValueError, match="an unknown layout, tuple"):
        arrays.dense(("torch.sparse_coo", torch.zeros(2)), (), Budget(1000))


@pytest.mark.parametrize(("old", "new"), [(b"(12,)", b"(2,) "), (b"<f8", b"<f4")], ids=["shape", "type"])
def test_arrays_are_as_long_as_their_headers_say(old, new, tmp_path):
    """Of an archive the checksum is compared at an array's end: who reads less of it does not see the damage."""
    np.save(tmp_path / "x.npy", np.arange(12.0))
    raw = (tmp_path / "x.npy").read_bytes()
    assert np.array_equal(read_array(tmp_path / "x.npy"), np.arange(12.0))
    (tmp_path / "x.npy").write_bytes(raw.replace(old, new))
    with pytest.raises(BadCheckpoint, match=r"x\.npy: it is damaged, or cut short .it says that it is float"):
        read_array(tmp_path / "x.npy")
    np.savez(tmp_path / "x.npz", mu=np.arange(12.0))
    raw = (tmp_path / "x.npz").read_bytes()
    (tmp_path / "x.npz").write_bytes(raw.replace(old, new))
    with pytest.raises(BadCheckpoint, match=r"x\.npz is broken"), npz.opened(tmp_path / "x.npz") as arrays:
        arrays.tensor("mu", "float64", None)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_arrays_that_are_there_twice_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", mu=np.arange(12.0))
    with zipfile.ZipFile(tmp_path / "x.npz", "a") as archive:
        archive.writestr("mu.npy", b"x")
    with pytest.raises(BadCheckpoint, match=r"x\.npz has its array mu\.npy twice"), npz.opened(tmp_path / "x.npz"):
        pass


def test_compressed_arrays_unfold_to_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "SMALL", 1000)
    np.savez_compressed(tmp_path / "x.npz", mu=np.zeros(1000))
    with pytest.raises(BadCheckpoint, match="unfolds to 8,128 bytes"), npz.opened(tmp_path / "x.npz") as arrays:
        arrays.tensor("mu", "float64", None)
