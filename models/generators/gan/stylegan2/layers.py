"""Layers whose weights are kept at unit variance and scaled when they are used (Karras et al. 2018, section 4.1)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2
"""Of the leaky ReLU below 0. Cannot be detected."""
CLAMP = 256.0
"""Largest magnitude of an activation, as NVIDIA trains with. Cannot be detected."""


PHASED = 2**15
"""Numbers of a kernel from which on its phases are worth a convolution each."""
GAIN = math.sqrt(2)
"""Keeps the variance through the leaky ReLU; as this is linear in each half, the gain may go before or after it."""


def activate(x: Tensor) -> Tensor:
    """Leaky ReLU and its gain."""
    return F.leaky_relu(x, SLOPE) * GAIN


def clamp(x: Tensor, most: float | None) -> Tensor:
    """x within -most to most, in place where there is no derivative. (That of hardtanh is cheaper than of torch's
    clamp.)"""
    return x if most is None else F.hardtanh(x, -most, most, inplace=not torch.is_grad_enabled())


class Linear(nn.Module):
    """Dense layer without activation, [N, inputs] -> [N, outputs].

    rate: what the weights and the bias are multiplied with, so that they learn that much slower.
    """

    def __init__(self, inputs: int, outputs: int, rate: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale = rate / math.sqrt(inputs)
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


def fir_filter() -> Tensor:
    """float32 [4, 4], sum 1: the low-pass filter [1, 3, 3, 1] along both axes."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return taps.outer(taps) / taps.sum() ** 2


def upsample(images: Tensor, filter: Tensor) -> Tensor:
    """[N, C, H, W] to [N, C, 2 H, 2 W]: zeros in between, then the filter [4, 4] at fourfold gain."""
    channels = images.shape[1]
    kernel = (4 * filter).expand(channels, 1, -1, -1)
    return F.conv_transpose2d(images, kernel, stride=2, padding=1, groups=channels)


def doubled(x: Tensor, weight: Tensor) -> Tensor:
    """The transposed convolution of stride 2, x [N, inputs, H, W] and weight [outputs, inputs, 3, 3] to [N, outputs,
    2 H + 1, 2 W + 1].

    On a CPU as four convolutions, of each the taps of one phase: those multiply at three times the rate of PyTorch's
    transposed one.
    """
    if x.device.type != "cpu" or weight.numel() < PHASED:
        return F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
    count, _, height, width = x.shape
    found = x.new_empty(count, len(weight), 2 * height + 1, 2 * width + 1)
    for row in (0, 1):
        for column in (0, 1):
            taps = weight[:, :, row::2, column::2].flip(2, 3)
            found[:, :, row::2, column::2] = F.conv2d(x, taps, padding=(1 - row, 1 - column))
    return found


def blur(images: Tensor, filter: Tensor) -> Tensor:
    """The filter [4, 4] at fourfold gain, padded by 1: [N, C, H, W] to [N, C, H - 1, W - 1]."""
    channels = images.shape[1]
    kernel = (4 * filter.flip(0, 1)).expand(channels, 1, -1, -1)
    return F.conv2d(images, kernel, padding=1, groups=channels)
