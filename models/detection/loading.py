"""The detectors that the pack reads."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..families import Family, Registry
from .base import Detector


def _families() -> tuple[Family[Detector], ...]:
    from . import grounding_dino, llmdet, mm_grounding_dino, omdet_turbo, owlv2, rt_detr

    return (
        grounding_dino.PUBLISHED,
        grounding_dino.FOLDER,
        mm_grounding_dino.FOLDER,
        llmdet.FOLDER,
        owlv2.FOLDER,
        *rt_detr.FOLDERS,
        omdet_turbo.FOLDER,
    )


DETECTORS: Final[Registry[Detector]] = Registry("detector", _families)


def load_detector(path: Path) -> Detector:
    """The detector of a file or a folder, on the CPU, in float32. Nothing is fetched.

    Raises:
        MissingFile, BadCheckpoint: see `Registry.load`.
        CannotDo: the transformers at hand is too old for it.
    """
    return DETECTORS.load(path)
