"""Files that are written over while what was read of them is in use: in place, as trainers do, and by renaming."""

import os
import shutil

import pytest
import torch
from safetensors.torch import save_file
from trilemma.models.diffusion.adapters import lora_file
from trilemma.models.files import catalog
from trilemma.models.files.hashes import hashes
from trilemma.models.files.paths import fingerprint
from trilemma.models.generators import noise
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.directions import files as direction_files
from trilemma.models.generators.loading import GENERATORS
from trilemma.models.steps import quiet
from trilemma.tests.closeness import assert_close
from trilemma.tests.faults.killing import Moment, killed
from trilemma.tests.faults.mapping import mapped_files
from trilemma.tests.generators.toy import Toy

fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot copy a process")


def spoil(path):
    """Other bytes in its place, then none: whoever has it mapped reads the one, and dies of the other."""
    with open(path, "r+b") as file:
        file.write(b"\x00" * path.stat().st_size)
    os.truncate(path, 0)


def lora(folder):
    path = folder / "lora.safetensors"
    shape = {"lora_down": (4, 4000), "lora_up": (4000, 4)}
    save_file({f"lora_unet_x.{side}.weight": torch.rand(size) for side, size in shape.items()}, path)
    return path, lora_file.read(path).modules["lora_unet_x"].values()


def directions(folder):
    path = folder / "ways.safetensors"
    toy = Toy()
    shape = toy.spaces[0].shape
    save_file({"way": torch.rand(9, *shape)}, path)
    return path, [direction_files.load(path, toy, toy.spaces[0].name).vectors]


@fork
@pytest.mark.parametrize("read", [lora, directions])
def test_tensors_outlive_their_file(read, tmp_path):
    path, tensors = read(tmp_path)
    before = [tensor.clone() for tensor in tensors]
    assert str(path) not in mapped_files()

    def look():
        spoil(path)
        assert all(torch.equal(tensor, kept) for tensor, kept in zip(tensors, before, strict=True))

    assert not killed(look, Moment(), tmp_path)


@fork
@pytest.mark.slow
def test_a_model_outlives_its_file_and_the_next_load_sees_the_new_one(tmp_path):
    path, other = tmp_path / "mine.safetensors", tmp_path / "other.safetensors"
    shutil.copy(catalog.starter_folder("generator", "starter emoji vae") / "model.safetensors", path)
    model = GENERATORS.load(path)
    bound = Bound(model)
    requests = noise.requests(2, 3, bound.conditions)
    expected = model.draw(requests, bound.settings, quiet)

    def look():
        spoil(path)
        assert_close(model.draw(requests, bound.settings, quiet), expected)

    spare = tmp_path / "spare"
    shutil.copy(path, spare)
    assert not killed(look, Moment(), tmp_path)
    os.replace(spare, path)
    # As many bytes and the same time of modification, as a tool leaves them that keeps times.
    data = bytearray(path.read_bytes())
    data[-4:] = b"\x00\x00\x00\x3f"
    other.write_bytes(data)
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    state, first = fingerprint(path), hashes([path])
    os.replace(other, path)
    assert fingerprint(path) != state and hashes([path]) != first
    assert GENERATORS.load(path).identity != model.identity
    assert_close(model.draw(requests, bound.settings, quiet), expected)
