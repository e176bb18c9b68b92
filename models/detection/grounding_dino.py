"""Grounding DINO (Liu et al. 2023, arXiv:2303.05499), as its authors publish it and in transformers' layout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from ..errors import BadCheckpoint
from ..families import Family
from ..files.checkpoints import Checkpoint
from ..files.folders import read_weights
from ..weights import DtypeFor, refuse_misfits
from . import grounding_dino_names, grounding_dino_published, llmdet
from .base import Detector
from .caption_detector import CaptionDetector, Kind, assemble
from .caption_folders import TINY, folder_family, random_network, save

KIND: Final = Kind("Grounding DINO", "GroundingDinoForObjectDetection", "4.40", "grounding-dino")


def load_published(checkpoint: Checkpoint, dtype_for: DtypeFor) -> CaptionDetector:
    """The detector of a published file; it reads bert-base-uncased's words.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape.
    """
    assert checkpoint.path is not None
    name, tensors = checkpoint.path.name, checkpoint.tensors
    try:
        config = grounding_dino_published.config(tensors)
    except KeyError as error:
        raise BadCheckpoint(f"{name}: a Grounding DINO without its tensor {error}; download it again.") from None
    expected = grounding_dino_names.names(config)
    # Some who convert files leave out what follows from the window's size.
    index = grounding_dino_names.relative_position_index(config["backbone_config"]["window_size"])
    tensors = {**{name: index for name in expected if name.endswith(grounding_dino_names.INDEX)}, **tensors}
    found = tensors.keys() - grounding_dino_published.EXTRAS
    refuse_misfits(name, missing=sorted(expected - found), unexpected=sorted(found - expected), misshapen=())
    return assemble(KIND, config, grounding_dino_published.convert(tensors), name)


def write_tiny(folder: Path) -> Path:
    """Write a random network into a folder as the authors would publish it, and give the file."""
    from safetensors.torch import save_file

    tensors = read_weights(save(random_network(KIND), folder / "network")).tensors
    path = folder / "groundingdino_tiny.safetensors"
    save_file(grounding_dino_names.revert(tensors, TINY), path)
    return path


PUBLISHED: Final[Family[Detector]] = Family(
    name=KIND.name,
    detect=lambda checkpoint: not checkpoint.config and grounding_dino_published.detect(checkpoint.tensors),
    load=load_published,
    tiny=write_tiny,
    typical=grounding_dino_names.typical,
)
_LAYOUT: Final = folder_family(KIND)
FOLDER: Final = replace(_LAYOUT, detect=lambda checkpoint: _LAYOUT.detect(checkpoint) and not llmdet.detect(checkpoint))
