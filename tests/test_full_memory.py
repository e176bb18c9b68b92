"""Memory that runs out while a file is read: never told as a fault of the file."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from trilemma.host.image_reading import read_image
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
