"""GAN generators of dense layers (Goodfellow et al. 2014), saved from one `nn.Sequential` of them.

Sizes are read from shapes; the picture is square, grey where the outputs are a square number, else of three planes.
Cannot be detected: ReLU between the layers, tanh at the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import torch
from torch import nn

from ... import weights
from ...families import Family
from ...files.checkpoints import Checkpoint
from ...files.folders import weight_files
from ...random_weights import write_random
from ...weights import DtypeFor, Tensors, empty_weights, full_precision
from .gaussian_gan import GaussianGAN

NAME: Final = "MLP GAN"


class MLP(nn.Sequential):
    """z [N, sizes[0]] to pictures [N, C, S, S] in -1..1; dense layers are numbered 0, 2, 4, ..."""

    def __init__(self, sizes: Sequence[int]) -> None:
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]
        super().__init__(*layers[:-1], nn.Tanh())
        found = picture(sizes[-1])
        if found is None:
            raise ValueError(f"{sizes[-1]} numbers are no square picture")
        self.picture = found

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return super().forward(z).unflatten(1, self.picture)


def picture(outputs: int) -> tuple[int, int, int] | None:
    """Channels, height and width of a picture of so many numbers; None where it would not be square."""
    for channels in (1, 3):
        side = math.isqrt(outputs // channels)
        if channels * side**2 == outputs:
            return channels, side, side
    return None


def sizes(tensors: Tensors) -> list[int]:
    """Widths from z to the picture; empty where the layout is not a row of dense layers."""
    found: list[int] = []
    count = len(tensors) // 2
    for index in range(0, 2 * count, 2):
        weight = tensors.get(f"{index}.weight")
        if weight is None or weight.ndim != 2 or found[-1:] not in ([], [weight.shape[1]]):
            return []
        found += [weight.shape[0]] if found else [weight.shape[1], weight.shape[0]]
    return found


def detect(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint is a row of dense layers that ends in a square picture larger than its input."""
    found = sizes(checkpoint.tensors)
    return len(found) > 2 and found[-1] > found[0] and picture(found[-1]) is not None


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> GaussianGAN:
    """Build the generator of a checkpoint that `detect` claims.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape.
    """
    widths = sizes(checkpoint.tensors)
    with empty_weights():
        network = MLP(widths)
    weights.fill(network, checkpoint.tensors, f"{checkpoint.name}, {NAME}")
    floats = max(one + next_one for one, next_one in pairwise(widths))
    return GaussianGAN(NAME, network, (widths[0],), network.picture, floats, weights.identity(checkpoint.tensors))


def _typical() -> frozenset[str]:
    with empty_weights():
        return frozenset(MLP([64, 256, 256, 784]).state_dict())


def tiny(folder: Path) -> Path:
    return write_random(folder, MLP([5, 9, 7, 16]))


FAMILY: Final = Family(NAME, detect, load, tiny, weight_files, _typical)
