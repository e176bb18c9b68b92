"""Small layers that the networks of several segmenters are made of, under the names that their files have."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn


class MLP(nn.Module):
    """Dense layers with ReLU between them, the last axis from `inputs` to `outputs`."""

    def __init__(self, inputs: int, hidden: int, outputs: int, depth: int, sigmoid: bool = False) -> None:
        super().__init__()
        self.sigmoid = sigmoid
        widths = [inputs, *[hidden] * (depth - 1), outputs]
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        for layer in self.layers[:-1]:
            values = F.relu(layer(values))
        values = self.layers[-1](values)
        return values.sigmoid() if self.sigmoid else values


class LayerNorm2d(nn.LayerNorm):
    """Normalises the channels at each place of maps [B, C, H, W]."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return self.of_places(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def of_places(self, places: torch.Tensor) -> torch.Tensor:
        """The same of places [..., C]."""
        return super().forward(places)


def doubling(layer: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """A transposed convolution of 2 x 2 with stride 2 for places [..., C]: it gives the four places that each becomes,
    row by row, [..., 4, C']. It is a product of matrices, and the channels stay together, where norms want them."""
    assert isinstance(layer, nn.ConvTranspose2d)
    inputs, outputs = layer.weight.shape[:2]
    weight = layer.weight.permute(2, 3, 1, 0).reshape(4 * outputs, inputs)
    bias = None if layer.bias is None else layer.bias.repeat(4)
    return lambda places: F.linear(places, weight, bias).unflatten(-1, (4, outputs))


def unfolded(places: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """What `doubling` made of a grid [h, w], once or twice, as maps: [N, h * w, 4, C] to [N, 2h, 2w, C], and
    [N, h * w, 4, 4, C] to [N, 4h, 4w, C]."""
    count, channels, times = len(places), places.shape[-1], places.ndim - 3
    split = places.reshape(count, *grid, *(2, 2) * times, channels)
    rows, columns = range(1, 2 * times + 3, 2), range(2, 2 * times + 3, 2)
    side = 2**times
    return split.permute(0, *rows, *columns, split.ndim - 1).reshape(count, side * grid[0], side * grid[1], channels)


def folded(maps: torch.Tensor, times: int) -> torch.Tensor:
    """The opposite of `unfolded`: maps [N, 2h, 2w, C] to [N, h * w, 4, C], or for times = 2 [N, 4h, 4w, C] to
    [N, h * w, 4, 4, C]."""
    count, height, width, channels = maps.shape
    twos = (2,) * times
    side = 2**times
    split = maps.reshape(count, height // side, *twos, width // side, *twos, channels)
    order = [axis for place in range(times + 1) for axis in (1 + place, 2 + times + place)]
    return split.permute(0, *order, split.ndim - 1).reshape(count, -1, *(4,) * times, channels)
