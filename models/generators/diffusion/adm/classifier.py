"""Guided diffusion's classifiers of noisy pictures, `64x64_classifier.pt` to `512x512_classifier.pt`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from .... import imagenet, weights
from ....errors import BadCheckpoint
from ....families import Family
from ....files.checkpoints import Checkpoint
from ....random_weights import random_weights, write
from ....weights import DtypeFor, empty_weights, full_precision
from ..guides import Guide
from . import layouts
from .memory import saved_floats
from .network import Classifier, Sizes

NAME: Final = "classifier of guided diffusion"
SIGNS: Final = (layouts.FIRST, layouts.TIME, layouts.PLACES, "input_blocks.1.0.in_layers.2.weight")
PARTS: Final = frozenset({"time_embed", "input_blocks", "middle_block", "out"})


class NoisyClassifier(Guide):
    """Looks at noisy pictures, told their time."""

    def __init__(self, network: Classifier, side: int, name: str, identity: str) -> None:
        self.name = name
        self.network = network
        self.modules = (network,)
        self.identity = identity
        self.side = side
        self.num_classes = network.sizes.outputs
        self.class_names = imagenet.names_of(self.num_classes)

    def log_probabilities(self, pictures: Tensor, time: Tensor) -> Tensor:
        kind = self.network.kind
        return self.network(pictures.to(kind.dtype), time.to(kind.device).reshape(1)).float().log_softmax(dim=1)

    def memory_bytes(self, batch_size: int) -> int:
        return int(batch_size * saved_floats(self.network.sizes, self.side, up=False) * self.network.kind.itemsize)


def detect(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint is such a classifier, by itself."""
    tensors = checkpoint.tensors
    return all(name in tensors for name in SIGNS) and all(name.partition(".")[0] in PARTS for name in tensors)


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> NoisyClassifier:
    """Build the classifier of a checkpoint that `detect` claims, in float32, which derivatives want.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape.
    """
    what = f"{checkpoint.name}, {NAME}"
    sizes = layouts.sizes_of(checkpoint.tensors, what)._replace(grouped=True)
    width, places = checkpoint.tensors[layouts.PLACES].shape
    cells = math.isqrt(places - 1)
    if width % sizes.head_channels:
        raise BadCheckpoint(f"{what}: heads of {sizes.head_channels} channels do not divide its width, {width}.")
    with empty_weights():
        network = Classifier(sizes, cells)
    weights.fill(network, checkpoint.tensors, what)
    network.to(memory_format=torch.channels_last)
    name = checkpoint.path.name if checkpoint.path else NAME
    side = cells * 2 ** (len(sizes.widths) - 1)
    return NoisyClassifier(network, side, name, weights.identity(checkpoint.tensors))


def tiny_sizes() -> Sizes:
    return Sizes(32, (64, 64), 1, (False, True), outputs=3, grouped=True)


def tiny(folder: Path) -> Path:
    return write(folder / "tiny.safetensors", random_weights(Classifier(tiny_sizes(), 8)))


def _typical() -> frozenset[str]:
    sizes = Sizes(32, (64, 128, 192, 256), 4, (False, True, True, True), outputs=10)
    with empty_weights():
        return frozenset(Classifier(sizes, 2).state_dict())


FAMILY: Final[Family[Guide]] = Family(NAME, detect, load, tiny, typical=_typical)
