"""The starter's scoring network: a small classifier of 32 px pictures, whose last features stand in for Inception's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from torch import nn

from ..checkpoints import described, read
from ..errors import BadCheckpoint

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
    """Read the scoring network from its folder or file, on the CPU.

    Raises:
        BadCheckpoint: the file is broken, or holds another network.
    """
    file = path / "model.safetensors" if path.is_dir() else path
    checkpoint = read(file)
    unseen = described(checkpoint.metadata)
    if unseen.get("architecture") != "classifier":
        raise BadCheckpoint(f"model: {file.name} is no classifier of the pack; choose another file.")
    network = Classifier(tuple(unseen["class_names"]))
    _check_fit(network.state_dict(), checkpoint.tensors, file.name)
    network.load_state_dict({name: value.float() for name, value in checkpoint.tensors.items()})
    return network.eval().requires_grad_(False)


def _check_fit(expected: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor], name: str) -> None:
    if {key: value.shape for key, value in expected.items()} != {key: value.shape for key, value in found.items()}:
        raise BadCheckpoint(f"model: the tensors of {name} do not fit the classifier; download it again.")
