"""BigGAN-deep's generator (Brock et al. 2018): blocks with bottlenecks, conditioned by z and class in their norms.

Weights are held as they are applied: the files' spectral norms are divided out when they are read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FIRST: Final = 4
"""Side of the first block's input, pixels."""
COLOURS: Final = 3
"""Channels of the picture; the files' last convolution has more, whose others are not looked at."""
WIDEN: Final = 16
"""Channels of the first block relative to the last's."""


class BlockSize(NamedTuple):
    """Channels of a block, and whether it doubles the side."""

    inputs: int
    middle: int
    outputs: int
    up: bool


class AttentionSize(NamedTuple):
    """Channels of self-attention: of the picture, of queries and keys, of values."""

    channels: int
    keys: int
    values: int


class Sizes(NamedTuple):
    """z_dim: of z, and of what stands for a class. width: channels of the last block. statistics: rows of the norms'
    tables. epsilon: of the norms."""

    z_dim: int
    classes: int
    width: int
    statistics: int
    layers: tuple[BlockSize | AttentionSize, ...]
    epsilon: float = 1e-4

    @property
    def side(self) -> int:
        """Of the pictures, pixels."""
        return FIRST << sum(layer.up for layer in self.layers if isinstance(layer, BlockSize))


class Norm(nn.Module):
    """Batch normalisation by statistics that were taken at each truncation from 0 to 1, `rows` steps apart.

    condition: size of the vector that scale and shift come from; 0 for learned ones.
    """

    running_means: Tensor
    running_vars: Tensor

    def __init__(self, channels: int, rows: int, epsilon: float, condition: int) -> None:
        super().__init__()
        self.epsilon, self.condition = epsilon, condition
        self.register_buffer("running_means", torch.zeros(rows, channels))
        self.register_buffer("running_vars", torch.ones(rows, channels))
        if condition:
            self.scale = nn.Linear(condition, channels, bias=False)
            self.offset = nn.Linear(condition, channels, bias=False)
        else:
            self.weight = nn.Parameter(torch.ones(channels))
            self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, condition: Tensor, truncation: float) -> Tensor:
        mean, variance = self._at(self.running_means, truncation), self._at(self.running_vars, truncation)
        if self.condition:
            scale, shift = 1 + self.scale(condition), self.offset(condition)
        else:
            scale, shift = self.weight[None], self.bias[None]
        scale = scale / torch.sqrt(variance + self.epsilon)
        shift = shift - mean * scale
        return torch.addcmul(shift[..., None, None], x, scale[..., None, None])

    def _at(self, table: Tensor, truncation: float) -> Tensor:
        # Between two rows the reference gives the lower one the upper one's share; pictures follow it.
        share, row = math.modf(truncation / (1.0 / (len(table) - 1)))
        if not share:
            return table[int(row)]
        return table[int(row)] * share + table[int(row) + 1] * (1 - share)


class Block(nn.Module):
    """Four convolutions, 1 x 1, 3 x 3, 3 x 3, 1 x 1, each behind a norm, added to the first channels of their input."""

    def __init__(self, size: BlockSize, sizes: Sizes, condition: int) -> None:
        super().__init__()
        self.size = size
        widths = (size.inputs, size.middle, size.middle, size.middle)
        for place, width in enumerate(widths):
            outputs, kernel = (size.outputs if place == 3 else size.middle), (3 if place in (1, 2) else 1)
            self.add_module(f"bn_{place}", Norm(width, sizes.statistics, sizes.epsilon, condition))
            self.add_module(f"conv_{place}", nn.Conv2d(width, outputs, kernel, padding=kernel // 2))

    def forward(self, x: Tensor, condition: Tensor, truncation: float) -> Tensor:
        y = x
        for place in range(4):
            y = F.relu_(self.get_submodule(f"bn_{place}")(y, condition, truncation))
            if place == 1 and self.size.up:
                y = F.interpolate(y, scale_factor=2)
            y = self.get_submodule(f"conv_{place}")(y)
        x = x[:, : self.size.outputs]
        return y.add_(F.interpolate(x, scale_factor=2) if self.size.up else x)


class Attention(nn.Module):
    """Of every place to the maxima of squares of four (Zhang et al. 2018)."""

    def __init__(self, size: AttentionSize) -> None:
        super().__init__()
        self.snconv1x1_theta = nn.Conv2d(size.channels, size.keys, 1, bias=False)
        self.snconv1x1_phi = nn.Conv2d(size.channels, size.keys, 1, bias=False)
        self.snconv1x1_g = nn.Conv2d(size.channels, size.values, 1, bias=False)
        self.snconv1x1_o_conv = nn.Conv2d(size.values, size.channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        queries = self.snconv1x1_theta(x).flatten(2).transpose(1, 2)
        keys = F.max_pool2d(self.snconv1x1_phi(x), 2).flatten(2)
        values = F.max_pool2d(self.snconv1x1_g(x), 2).flatten(2).transpose(1, 2)
        seen = (queries @ keys).softmax(dim=-1) @ values
        return x + self.gamma * self.snconv1x1_o_conv(seen.transpose(1, 2).unflatten(2, x.shape[2:]))


class Synthesis(nn.Module):
    """The vector of z and class, [N, 2 z_dim], to pictures [N, 3, side, side] in -1..1."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        condition = 2 * sizes.z_dim
        self.gen_z = nn.Linear(condition, FIRST * FIRST * WIDEN * sizes.width)
        self.layers = nn.ModuleList(
            Block(layer, sizes, condition) if isinstance(layer, BlockSize) else Attention(layer)
            for layer in sizes.layers
        )
        self.bn = Norm(sizes.width, sizes.statistics, sizes.epsilon, 0)
        self.conv_to_rgb = nn.Conv2d(sizes.width, COLOURS, 3, padding=1)

    def forward(self, condition: Tensor, truncation: float) -> Tensor:
        # Rows and columns come before channels, as TensorFlow has them.
        x = self.gen_z(condition).unflatten(1, (FIRST, FIRST, -1)).permute(0, 3, 1, 2)
        for layer in self.layers:
            x = layer(x, condition, truncation) if isinstance(layer, Block) else layer(x)
        return self.conv_to_rgb(F.relu_(self.bn(x, condition, truncation))).tanh()


class BigGANDeep(nn.Module):
    """z [N, z_dim], already times the truncation, and classes [N] to pictures [N, 3, side, side] in -1..1."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.embeddings = nn.Linear(sizes.classes, sizes.z_dim, bias=False)
        self.generator = Synthesis(sizes)

    def forward(self, z: Tensor, classes: Tensor, truncation: float) -> Tensor:
        return self.generator(torch.cat([z, self.embeddings.weight.T[classes]], dim=1), truncation)


def most_floats(layers: Sequence[BlockSize | AttentionSize]) -> int:
    """The most numbers that the layers hold at a time for one picture."""
    side, most = FIRST, 0
    for layer in layers:
        if isinstance(layer, BlockSize):
            given, side = side, side << layer.up
            # The input before and after its norm; or the input, its first channels, both enlarged, and the last layer.
            first = 2 * layer.inputs * given**2
            last = (layer.inputs + layer.up * layer.outputs) * given**2
            most = max(most, first, last + ((1 + layer.up) * layer.outputs + layer.middle) * side**2)
        else:
            places = side**2
            most = max(most, 2 * layer.channels * places + 2 * places * places // 4)
    return most
