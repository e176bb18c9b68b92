"""Memory that runs out while a file is read: never told as a fault of the file."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from trilemma.host.image_reading import read_image
from trilemma.models.errors import BadCheckpoint
from trilemma.models.files.folders import understood
from trilemma.models.files.unpickling.arrays import Pending
from trilemma.models.files.unpickling.machine import Budget, Global
from trilemma.models.files.unpickling.rebuilding import Rebuilder
from trilemma.models.pictures.png import write_png

SAID = "DefaultCPUAllocator: not enough memory: you tried to allocate 68719476736 bytes."


class Full(TorchDispatchMode):
    """Every operation of torch in the block finds the memory full."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        raise RuntimeError(SAID)


def test_a_picture_is_not_said_to_be_broken(tmp_path):
    write_png(tmp_path / "x.png", torch.rand(8, 8, 4, generator=torch.Generator().manual_seed(0)), {})
    with pytest.raises(RuntimeError, match="not enough memory"), Full():
        read_image(tmp_path / "x.png")


def raising(error):
    def make():
        raise error

    return make


@pytest.mark.parametrize("error", [RuntimeError(SAID), MemoryError(), torch.OutOfMemoryError("CUDA out of memory.")])
def test_a_file_of_weights_is_not_said_to_be_damaged(error):
    with pytest.raises(type(error)), understood("model: x.safetensors"):
        raise error
    with pytest.raises(type(error)):
        Pending(raising(error)).made()


def test_a_tensor_of_an_array_is_not_said_to_make_no_sense():
    rebuilder = Rebuilder(Budget(10**6), lambda raw: None)
    storage = torch.zeros(4)
    with pytest.raises(RuntimeError, match="not enough memory"), Full():
        rebuilder.call(Global("torch._utils", "_rebuild_tensor_v2"), (storage, 0, (2,), (1,), False, {}), {})


def test_what_nothing_could_hold_is_damage():
    with pytest.raises(BadCheckpoint, match="makes no sense"), understood("model: x.safetensors"):
        raise RuntimeError("numel: integer multiplication overflow")
