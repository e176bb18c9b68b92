"""The starter's scoring network: a small classifier of 32 px pictures, whose last features stand in for Inception's."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import nn

from ... import weights
from ...errors import BadCheckpoint
from ...files.checkpoints import Checkpoint, described
from ...files.folders import read_model
from ...weights import empty_weights

ARCHITECTURE: Final = "classifier"
"""What a file's metadata calls it."""
WIDTHS: Final = (32, 64, 64, 128, 128)
STRIDES: Final = (1, 2, 1, 2, 1)
NORM_GROUPS: Final = 8


class Classifier(nn.Module):
    """Convolutions, the mean over the picture, one linear layer.

    class_names: what its logits stand for. feature_size: of the features before the linear layer.
    """

    feature_size = WIDTHS[-1]

    def __init__(self, class_names: tuple[str, ...]) -> None:
        super().__init__()
        self.class_names = class_names
        blocks = []
        for given, width, stride in zip((3, *WIDTHS), WIDTHS, STRIDES, strict=False):
            convolution = nn.Conv2d(given, width, 3, stride, padding=1, bias=False)
            blocks.append(nn.Sequential(convolution, nn.GroupNorm(NORM_GROUPS, width), nn.SiLU()))
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(self.feature_size, len(class_names))

    def features(self, pictures: torch.Tensor) -> torch.Tensor:
        """float32 [N, 128] of pictures [N, 3, 32, 32] in -1..1."""
        return self.blocks(pictures).mean(dim=(2, 3))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Logits [N, classes] of pictures [N, 3, 32, 32] in -1..1."""
        return self.head(self.features(pictures))


def load_classifier(path: Path) -> Classifier:
    """Read the scoring network alone from its folder or file, on the CPU.

    Raises:
        BadCheckpoint: the file is broken, or holds another network.
    """
    checkpoint = read_model(path)
    if not is_classifier(checkpoint):
        raise BadCheckpoint(f"model: {path.name} is no classifier of the pack; choose another file.")
    return classifier_of(checkpoint)


def tensor_names() -> frozenset[str]:
    """Of any of them, whatever its classes."""
    with empty_weights():
        return frozenset(Classifier(("",)).state_dict())


def is_classifier(checkpoint: Checkpoint) -> bool:
    """Whether a file says of itself that it is one, or has all of its tensors and no others."""
    said = described(checkpoint.metadata).get("architecture")
    return said == ARCHITECTURE or (said is None and checkpoint.tensors.keys() == tensor_names())


def classifier_of(checkpoint: Checkpoint) -> Classifier:
    """The network of a file that is one.

    Raises:
        BadCheckpoint: its tensors are not those of the network.
    """
    head = checkpoint.tensors.get("head.weight")
    # A file of another format than the pack's own does not name its classes.
    numbered = [f"class {number}" for number in range(0 if head is None else len(head))]
    with empty_weights():
        network = Classifier(tuple(described(checkpoint.metadata).get("class_names", numbered)))
    name = checkpoint.path.name if checkpoint.path else "the file"
    weights.fill(network, checkpoint.tensors, f"model: {name}, the classifier")
    return network
