"""An inpainter from disk, whatever its family."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..families import Family, Registry
from ..weights import DtypeFor, full_precision
from .base import Inpainter


def _families() -> tuple[Family[Inpainter], ...]:
    from . import glide, lama, mat, stable_diffusion

    return (*stable_diffusion.FAMILIES, glide.FAMILY, lama.FAMILY, mat.FAMILY)


INPAINTERS: Final[Registry[Inpainter]] = Registry("inpainter", _families)


def load_inpainter(path: Path, dtype_for: DtypeFor = full_precision) -> Inpainter:
    """Read a single file or a diffusers folder, onto the CPU.

    dtype_for: chooses the dtype of all networks, given the number of parameters.

    Raises:
        MissingFile, BadCheckpoint: see `Registry.load`.
    """
    return INPAINTERS.load(path, dtype_for)
