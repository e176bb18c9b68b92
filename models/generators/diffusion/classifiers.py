"""Classifiers that steer diffusion models, from disk: guided diffusion's of noisy pictures, and the pack's own."""

from __future__ import annotations

from typing import Final

import torch.nn.functional as F
from torch import Tensor

from ... import weights
from ...families import Family, Registry
from ...files.checkpoints import Checkpoint
from ...scoring.extractors import classifier as small
from ...scoring.extractors.base import weight_files
from ...scoring.extractors.classifier_network import Classifier, classifier_of, is_classifier, tensor_names
from ...weights import DtypeFor
from .guides import Guide

SAVED: Final = 2.9
"""Memory with a derivative, relative to that without."""


class CleanClassifier(Guide):
    """The pack's classifier of clean pictures, which are stretched to its size."""

    clean = True

    def __init__(self, network: Classifier, name: str) -> None:
        self.name = name
        self.modules = (network,)
        self.network = network
        self.identity = weights.identity(network.state_dict())
        self.class_names = network.class_names
        self.num_classes = len(network.class_names)

    def log_probabilities(self, pictures: Tensor, time: Tensor) -> Tensor:
        size = (small.SIDE, small.SIDE)
        if pictures.shape[2:] != size:
            pictures = F.interpolate(pictures, size, mode="bilinear", antialias=True)
        return self.network(pictures.expand(-1, 3, -1, -1)).log_softmax(dim=1)

    def memory_bytes(self, batch_size: int) -> int:
        return int(SAVED * 4 * small.VALUES_PER_IMAGE * batch_size)


def _load(checkpoint: Checkpoint, dtype_for: DtypeFor) -> Guide:
    return CleanClassifier(classifier_of(checkpoint), checkpoint.path.name if checkpoint.path else "classifier")


CLEAN: Final[Family[Guide]] = Family(
    small.CLASSIFIER.name, is_classifier, _load, small.CLASSIFIER.tiny, weight_files, tensor_names
)


def _families() -> tuple[Family[Guide], ...]:
    from .adm import classifier

    return CLEAN, classifier.FAMILY


CLASSIFIERS: Final[Registry[Guide]] = Registry("classifier", _families)
