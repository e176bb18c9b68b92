"""DCGAN generators (Radford et al. 2015) as PyTorch's examples lay them out, and as the MNIST and CIFAR variants do.

`main` is a row of transposed convolutions, each but the last with batch normalisation and ReLU, then tanh. Latent
size, layers, channels and kernels are read from shapes. Cannot be detected: strides and paddings. A 4 x 4 kernel
doubles the side, the first one makes 4 pixels of 1; a 1 x 1 kernel at the end keeps 32 pixels of colour pictures, and
crops those of grey ones (MNIST) to 28.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import nn

from ... import weights
from ...families import Family
from ...files.checkpoints import Checkpoint
from ...files.folders import weight_files
from ...random_weights import write_random
from ...weights import DtypeFor, Tensors, empty_weights, full_precision
from .gaussian_gan import GaussianGAN

NAME: Final = "DCGAN"
STRIDE: Final = 3
"""Layers in a row: convolution, normalisation, ReLU."""
MNIST_CROP: Final = 2
MOST_CHANNELS: Final = 6
"""Of pictures; of features there are more."""


class Convolution(NamedTuple):
    """Shape of a transposed convolution."""

    inputs: int
    outputs: int
    kernel: int


class DCGAN(nn.Module):
    """z [N, nz, 1, 1] to pictures [N, C, S, S] in -1..1."""

    def __init__(self, convolutions: Sequence[Convolution]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index, (inputs, outputs, kernel) in enumerate(convolutions):
            stride, padding = _stride_and_padding(index, outputs, kernel)
            layers.append(nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding, bias=False))
            layers += [nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
        self.main = nn.Sequential(*layers[:-2], nn.Tanh())

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.main(z)


def _stride_and_padding(index: int, outputs: int, kernel: int) -> tuple[int, int]:
    if index == 0:
        return 1, 0
    if kernel == 1:
        return 1, MNIST_CROP if outputs == 1 else 0
    return 2, 1


def convolutions(tensors: Tensors) -> list[Convolution]:
    """The transposed convolutions of a state dict, in order; empty where its layout is not a DCGAN's."""
    found = []
    while (weight := tensors.get(f"main.{STRIDE * len(found)}.weight")) is not None and weight.ndim == 4:
        inputs, outputs, kernel, _ = weight.shape
        found.append(Convolution(inputs, outputs, kernel))
    return found


def detect(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint is a DCGAN generator; a discriminator's first layer has colours on its second axis."""
    found = convolutions(checkpoint.tensors)
    chained = all(one.outputs == next_one.inputs for one, next_one in pairwise(found))
    return (
        len(found) > 1
        and chained
        and "main.1.running_mean" in checkpoint.tensors
        and found[-1].outputs <= MOST_CHANNELS
    )


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> GaussianGAN:
    """Build the generator of a checkpoint that `detect` claims.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape.
    """
    shapes = convolutions(checkpoint.tensors)
    with empty_weights():
        network = DCGAN(shapes)
    weights.fill(network, checkpoint.tensors, f"{checkpoint.name}, {NAME}")
    side, floats = _measure(network.main)
    picture = (shapes[-1].outputs, side, side)
    identity = weights.identity(checkpoint.tensors)
    return GaussianGAN(NAME, network, (shapes[0].inputs, 1, 1), picture, floats, identity)


def _measure(layers: nn.Sequential) -> tuple[int, int]:
    """Side of the pictures, and the most numbers that a layer's input and output have."""
    side, before, most = 1, 0, 0
    for layer in layers:
        if isinstance(layer, nn.ConvTranspose2d):
            side = (side - 1) * layer.stride[0] - 2 * int(layer.padding[0]) + layer.kernel_size[0]
            after = layer.out_channels * side**2
            most = max(most, before + after, 2 * after)
            before = after
    return side, most


def _typical() -> frozenset[str]:
    with empty_weights():
        return frozenset(_build(100, 8, 4, 2, 1, 3).state_dict())


def _build(*widths: int) -> DCGAN:
    return DCGAN([Convolution(inputs, outputs, 4) for inputs, outputs in pairwise(widths)])


def tiny(folder: Path) -> Path:
    return write_random(folder, _build(10, 16, 8, 3))


FAMILY: Final = Family(NAME, detect, load, tiny, weight_files, _typical)
