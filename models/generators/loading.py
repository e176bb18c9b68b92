"""A generator from disk, whatever its architecture."""

from __future__ import annotations

from pathlib import Path

from .. import checkpoints
from . import stylegan2
from .base import Generator
from .registry import Registry

ARCHITECTURES = Registry()
ARCHITECTURES.register(stylegan2.ARCHITECTURE)


def load_generator(path: Path) -> Generator:
    """Read a checkpoint file, or a folder that holds `model.safetensors`; weights are float32 on the CPU.

    Raises:
        BadCheckpoint: the file is broken, or of no architecture that the pack knows.
    """
    file = path / "model.safetensors" if path.is_dir() else path
    return ARCHITECTURES.load(checkpoints.read(file), path.name)
