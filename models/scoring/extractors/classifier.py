"""The pack's classifier of small pictures as an extractor: its scores rank starters, and are no FID of Inception's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch

from ... import weights
from ...families import Family
from ...files.catalog import STARTER_ROOT, STARTERS
from ...files.checkpoints import Checkpoint
from ...weights import DtypeFor
from .base import Answers, Extractor, weight_files
from .classifier_network import ARCHITECTURE, Classifier, classifier_of, is_classifier, tensor_names
from .resizes import resize, with_derivatives

SIDE: Final = 32
"""Of the pictures that it was trained on, in pixels."""
TAP: Final = "features"
VALUES_PER_IMAGE: Final = 3 * 32 * SIDE * SIDE + 3 * SIDE * SIDE
"""float32 values alive at once, in the first block: 32 channels convolved, normalised and activated."""


class ClassifierExtractor(Extractor):
    """128 features, the mean over the picture of the last convolution, and the probabilities of its classes."""

    main = TAP
    side = SIDE

    def __init__(self, network: Classifier, name: str) -> None:
        self.name = name
        self.identity = weights.identity(network.state_dict())
        self.taps = {TAP: network.feature_size}
        self.classes = len(network.class_names)
        self.network = network
        self.modules = (network,)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.network.class_names

    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        return resize(images, SIDE, self.resize)

    def extract(self, prepared: torch.Tensor, taps: Sequence[str]) -> Answers:
        device = self.network.head.weight.device
        pixels = prepared.to(device).to(torch.float32, memory_format=torch.contiguous_format)
        features = self.network.features(pixels / 127.5 - 1)
        log_probabilities = self.network.head(features).log_softmax(dim=1)
        return Answers(tuple(features.cpu() for _ in taps), log_probabilities.cpu())

    def see(self, pictures: torch.Tensor, taps: Sequence[str]) -> Answers:
        features = self.network.features(with_derivatives(pictures, SIDE) / 127.5 - 1)
        return Answers(tuple(features for _ in taps), self.network.head(features).log_softmax(dim=1))

    def maps(self, pictures: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found, seen = [], with_derivatives(pictures, SIDE) / 127.5 - 1
        for block in self.network.blocks:
            seen = block(seen)
            found.append(seen)
        return tuple(found)

    def memory_bytes(self, batch_size: int) -> int:
        return 4 * VALUES_PER_IMAGE * batch_size


def _load(checkpoint: Checkpoint, dtype_for: DtypeFor) -> Extractor:
    return ClassifierExtractor(classifier_of(checkpoint), _name(checkpoint.path))


def _name(path: Path | None) -> str:
    """The public one of a starter, else with the file's."""
    starters = {STARTER_ROOT / folder: name for name, folder in STARTERS["extractor"].items()}
    return starters.get(path) or f"classifier {path.name}" if path else "classifier"


def _tiny(folder: Path) -> Path:
    from safetensors.torch import save_file

    names = ("round", "square", "other")
    path = folder / "classifier.safetensors"
    metadata = {"trilemma": json.dumps({"architecture": ARCHITECTURE, "class_names": names})}
    save_file(Classifier(names).state_dict(), path, metadata)
    return path


CLASSIFIER: Final[Family[Extractor]] = Family(
    "classifier of the pack", is_classifier, _load, _tiny, weight_files, tensor_names
)
