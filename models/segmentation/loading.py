"""A segmenter from disk, whatever its architecture."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..families import Family, Registry
from ..weights import DtypeFor, full_precision
from .base import Segmenter


def _families() -> tuple[Family[Segmenter], ...]:
    from . import hq_sam, mobile_sam, sam, sam2

    return sam.FAMILY, hq_sam.FAMILY, mobile_sam.FAMILY, sam2.FAMILY


SEGMENTERS: Final[Registry[Segmenter]] = Registry("segmenter", _families)


def load_segmenter(path: Path, dtype_for: DtypeFor = full_precision) -> Segmenter:
    """Read a file, a folder that holds `model.safetensors`, or a transformers folder; weights are on the CPU.

    dtype_for: chooses the dtype of the image encoder, given the number of its parameters; all else is float32.

    Raises:
        MissingFile, BadCheckpoint: see `Registry.load`.
    """
    return SEGMENTERS.load(path, dtype_for)
