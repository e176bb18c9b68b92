"""An inpainter from disk, whatever its family."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..families import Registry
from ..weights import DtypeFor, full_precision
from . import stable_diffusion
from .base import Inpainter

INPAINTERS: Final[Registry[Inpainter]] = Registry("inpainter")
INPAINTERS.register(*stable_diffusion.FAMILIES)


def load_inpainter(path: Path, dtype_for: DtypeFor = full_precision) -> Inpainter:
    """Read a single file or a diffusers folder, onto the CPU.

    dtype_for: chooses the dtype of all networks, given the number of parameters.

    Raises:
        MissingFile, BadCheckpoint: see `Registry.load`.
    """
    return INPAINTERS.load(path, dtype_for)
