"""A feature extractor from disk, whatever its network."""

from __future__ import annotations

from pathlib import Path

from ...errors import BadCheckpoint, BadInput
from ...files.catalog import STARTER_ROOT, STARTERS
from ...files.checkpoints import Checkpoint, read
from ...files.signatures import identify
from .base import Extractor
from .classifier import classifier_of, is_classifier
from .classifier_extractor import ClassifierExtractor
from .inception import FAMILY, InceptionExtractor, load_inception
from .resizes import RESIZES


def load_extractor(path: Path, resize: str) -> Extractor:
    """Read a scoring network, told by what is in the file, on the CPU.

    Args:
        path: a file, or a folder that holds `model.safetensors`.
        resize: a key of resizes.RESIZES.

    Raises:
        BadCheckpoint: the file is broken, or of another network; says of which.
        BadInput: there is no such way to resize.
    """
    if resize not in RESIZES:
        raise BadInput(f"resize: there is no {resize!r}; choose one of {', '.join(RESIZES)}.")
    file = path / "model.safetensors" if path.is_dir() else path
    checkpoint = read(file)
    extractor = _extractor(checkpoint, file.name, _name(path), resize)
    extractor.files = (file,)
    return extractor


def _extractor(checkpoint: Checkpoint, file: str, name: str, resize: str) -> Extractor:
    if is_classifier(checkpoint):
        return ClassifierExtractor(classifier_of(checkpoint, file), name, resize)
    found = identify(checkpoint.tensors)
    if found == FAMILY:
        return InceptionExtractor(load_inception(checkpoint.tensors, file), resize)
    raise BadCheckpoint(
        f"model: {file} is {found}, expected {FAMILY}, or a classifier of the pack; choose another file."
    )


def _name(path: Path) -> str:
    """Of a classifier: the public one of a starter, else with the file's."""
    starters = {STARTER_ROOT / folder: name for name, folder in STARTERS["extractor"].items()}
    return starters.get(path, f"classifier {path.name}")
