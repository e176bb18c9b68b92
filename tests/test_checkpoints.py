import os
import pickle
import time

import pytest
import torch
from safetensors.torch import save_file
from trilemma.models import catalog, checkpoints, files, registry
from trilemma.models.errors import BadCheckpoint

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
@pytest.mark.parametrize("prefix", ["", "module."])
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
    with pytest.raises(BadCheckpoint, match=rf"x{suffix}: .*2000 bytes.*cut short"):
        checkpoints.read(path)


class Evil:
    def __reduce__(self):
        return (os.mkdir, (str(Evil.target),))


def test_code_in_a_pickle_is_refused_and_not_run(tmp_path):
    Evil.target = tmp_path / "ran"
    path = tmp_path / "x.pth"
    path.write_bytes(pickle.dumps({"state_dict": Evil()}))
    with pytest.raises(BadCheckpoint, match=r"names (posix|nt)\.mkdir"):
        checkpoints.read(path)
    torch.save({"state_dict": Evil()}, path)
    with pytest.raises(BadCheckpoint, match=r"names (posix|nt)\.mkdir"):
        checkpoints.read(path)
    assert not Evil.target.exists()


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 no archive"])
def test_no_checkpoint(tmp_path, content):
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    with pytest.raises(BadCheckpoint, match=r"x\.pth"):
        checkpoints.read(path)


def test_checkpoint_without_tensors(tmp_path):
    path = tmp_path / "x.pth"
    torch.save({"epoch": 3}, path)
    with pytest.raises(BadCheckpoint, match="holds no weights"):
        checkpoints.read(path)


def test_unknown_state_dict_is_told_by_its_first_names():
    assert "a.weight, b" in registry.identify(TENSORS)


def test_fingerprint_sees_a_replaced_file(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    path = folder / "weights"
    path.write_bytes(b"one")
    first = files.fingerprint(path), files.fingerprint(folder)
    time.sleep(0.01)
    path.write_bytes(b"two")
    second = files.fingerprint(path), files.fingerprint(folder)
    assert first[0] != second[0]
    assert first[1] != second[1]
    assert (files.fingerprint(path), files.fingerprint(folder)) == second


@pytest.mark.parametrize("kind", ["detector", "segmenter", "inpainter"])
def test_missing_file_says_where_from_and_where_to(kind, tmp_path):
    for file in catalog.PUBLISHED[kind]:
        message = str(catalog.missing_file(kind, f"sub/{file.name}", tmp_path))
        for fact in (file.name, file.source, f"{file.bytes:,}", file.sha256, str(tmp_path)):
            assert fact in message
    unknown = str(catalog.missing_file(kind, "mine.pth", tmp_path))
    assert "mine.pth" in unknown
    assert str(tmp_path) in unknown
    assert catalog.starter_names(kind)[0] in unknown
