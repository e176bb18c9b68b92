"""DF-GAN (Tao et al. 2022): one stage, in each block of which z and sentence scale and shift the features."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....weights import Tensors, count_layers
from .drawing import Drawn, TextNetwork

FIRST = 4
SLOPE = 0.2


class Sizes(NamedTuple):
    """channels: of the first block's input and of each block's output."""

    z_dim: int
    text_dim: int
    channels: tuple[int, ...]


class Modulation(nn.Module):
    """A vector to one number for each channel, by two dense layers."""

    def __init__(self, inputs: int, hidden: int, channels: int) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(inputs, hidden), nn.Linear(hidden, channels)

    def forward(self, given: Tensor) -> Tensor:
        return self.linear2(F.relu(self.linear1(given)))[..., None, None]


class Affine(nn.Module):
    """Scales and shifts features by a vector."""

    def __init__(self, condition: int, channels: int) -> None:
        super().__init__()
        self.fc_gamma, self.fc_beta = (Modulation(condition, channels, channels) for _ in range(2))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        return torch.addcmul(self.fc_beta(condition), x, self.fc_gamma(condition))


class Fusion(nn.Module):
    """Two of them, with leaky ReLUs."""

    def __init__(self, condition: int, channels: int) -> None:
        super().__init__()
        self.affine0, self.affine1 = Affine(condition, channels), Affine(condition, channels)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        x = F.leaky_relu_(self.affine0(x, condition), SLOPE)
        return F.leaky_relu_(self.affine1(x, condition), SLOPE)


class Block(nn.Module):
    """Twice the side, and two convolutions, each behind a fusion, added to what was there."""

    def __init__(self, condition: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(inputs, outputs, 3, padding=1), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.fuse1, self.fuse2 = Fusion(condition, inputs), Fusion(condition, outputs)
        self.c_sc = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=2)
        y = self.c1(self.fuse1(x, condition))
        return self.c2(self.fuse2(y, condition)).add_(self.c_sc(x))


class DFGAN(TextNetwork):
    """The generator of the published `code` version."""

    def __init__(self, size: Sizes) -> None:
        super().__init__()
        self.z_dim, self.text_dim, self.noise_dim, self.attends = size.z_dim, size.text_dim, 0, 0
        condition, channels = size.z_dim + size.text_dim, size.channels
        self.fc = nn.Linear(size.z_dim, channels[0] * FIRST**2)
        self.GBlocks = nn.ModuleList(Block(condition, *pair) for pair in pairwise(channels))
        self.to_rgb = nn.Sequential(nn.LeakyReLU(SLOPE), nn.Conv2d(channels[-1], 3, 3, padding=1), nn.Tanh())
        self.sides = (FIRST << len(self.GBlocks),)
        # Of the last block: its input before and after it is enlarged, and that scaled.
        self.floats = (3 * channels[-2] + channels[-1] // 2) * self.sides[0] ** 2

    def z_weights(self) -> Tensor:
        return self.fc.weight

    def forward(self, z: Tensor, sentence: Tensor, noise: Tensor, words: Tensor, masks: Sequence[Tensor]) -> Drawn:
        condition = torch.cat([z, sentence], dim=1)
        x = self.fc(z).unflatten(1, (-1, FIRST, FIRST))
        for block in self.GBlocks:
            x = block(x, condition)
        return Drawn((self.to_rgb(x),))


def sizes_of(tensors: Tensors) -> Sizes:
    """What the shapes of a file tell."""
    values, z_dim = tensors["fc.weight"].shape
    condition = tensors["GBlocks.0.fuse1.affine0.fc_gamma.linear1.weight"].shape[1]
    blocks = count_layers(tensors, "GBlocks.{}.c1.weight")
    outputs = (tensors[f"GBlocks.{number}.c1.weight"].shape[0] for number in range(blocks))
    return Sizes(z_dim, condition - z_dim, (values // FIRST**2, *outputs))
