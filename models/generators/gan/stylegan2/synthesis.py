"""The synthesis network: one w per layer to a picture (Karras et al. 2019, 2020; skip connections through RGB)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import CLAMP, GAIN, SLOPE, Linear, blur, clamp, doubled, fir_filter, upsample

APART = 2**21
"""Bytes of a layer of one picture from which on pictures are drawn one after the other."""
FIRST = 4
"""Side of the learned constant, pixels."""


class StyledConvolution(nn.Module):
    """3 x 3 convolution whose input channels are scaled by a style, and whose output is brought back to unit variance
    and clamped to magnitudes of `most`.

    Scaling activations instead of weights gives the same result (Karras et al. 2019, equations 1 to 3) without a set
    of weights for every picture of the batch.
    """

    noise_const: Tensor
    resample_filter: Tensor

    def __init__(self, inputs: int, outputs: int, w_dim: int, side: int, up: bool, most: float | None) -> None:
        super().__init__()
        self.most = most
        self.up = up
        self.affine = Linear(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.register_buffer("noise_const", torch.randn(side, side))
        self.register_buffer("resample_filter", fir_filter())

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        """x: [N, inputs, H, W]. w: [N, w_dim]. noise: [N or 1, 1, side, side], None for none."""
        style = self.affine(w)
        energy = style.square() @ self.weight.square().sum(dim=(2, 3)).T  # [N, outputs]
        x = x * style[:, :, None, None]
        convolved = doubled(x, self.weight) if self.up else F.conv2d(x, self.weight, padding=1)
        x = blur(convolved, self.resample_filter) if self.up else convolved
        offset = (self.bias * GAIN)[:, None, None]
        if noise is not None:
            offset = offset + noise * (self.noise_strength * GAIN)
        x = torch.addcmul(offset, x, (energy + 1e-8).rsqrt()[:, :, None, None] * GAIN)
        # Nothing but a derivative asks again for what the sum was.
        return clamp(F.leaky_relu(x, SLOPE, inplace=not torch.is_grad_enabled()), self.most)


class ToRGB(nn.Module):
    """1 x 1 convolution to colours, scaled by a style but not demodulated."""

    def __init__(self, inputs: int, img_channels: int, w_dim: int, most: float | None) -> None:
        super().__init__()
        self.most = most
        self.affine = Linear(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(img_channels, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(img_channels))
        self.scale = 1 / math.sqrt(inputs)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        style = self.affine(w) * self.scale
        return clamp(F.conv2d(x * style[:, :, None, None], self.weight, self.bias), self.most)


class Block(nn.Module):
    """One resolution. The first one starts from a learned constant; the others double the side in `conv0`."""

    resample_filter: Tensor

    def __init__(self, inputs: int, outputs: int, w_dim: int, side: int, img_channels: int, most: float | None) -> None:
        super().__init__()
        self.side = side
        self.first = side == FIRST
        if self.first:
            self.const = nn.Parameter(torch.randn(outputs, side, side))
        else:
            self.conv0 = StyledConvolution(inputs, outputs, w_dim, side, True, most)
        self.conv1 = StyledConvolution(outputs, outputs, w_dim, side, False, most)
        self.torgb = ToRGB(outputs, img_channels, w_dim, most)
        self.register_buffer("resample_filter", fir_filter())

    @property
    def convolutions(self) -> list[StyledConvolution]:
        return [self.conv1] if self.first else [self.conv0, self.conv1]

    def forward(
        self, before: Tensor | None, image: Tensor | None, ws: Tensor, noise: Sequence[Tensor | None]
    ) -> tuple[Tensor, Tensor]:
        """before, image: None in the first block. ws: [N, convolutions + 1, w_dim]. noise: one of each convolution."""
        x = self.const.expand(len(ws), -1, -1, -1) if before is None else before
        for index, convolution in enumerate(self.convolutions):
            x = convolution(x, ws[:, index], noise[index])
        colours = self.torgb(x, ws[:, len(self.convolutions)])
        return x, colours if image is None else upsample(image, self.resample_filter) + colours


class Synthesis(nn.Module):
    """w [N, num_ws, w_dim] to a picture, float [N, img_channels, R, R], about -1..1. Blocks: `b4`, `b8`, ... `bR`.

    channels: of each block, from 4 pixels up. A block's colours share their w with the next block's first convolution.
    """

    def __init__(self, w_dim: int, channels: Sequence[int], img_channels: int, most: float | None = CLAMP) -> None:
        super().__init__()
        self.sides = [FIRST << index for index in range(len(channels))]
        for side, inputs, outputs in zip(self.sides, [0, *channels], channels, strict=False):
            self.add_module(f"b{side}", Block(inputs, outputs, w_dim, side, img_channels, most))
        self.num_ws = len(self.convolutions) + 1

    @property
    def blocks(self) -> list[Block]:
        return [cast(Block, self.get_submodule(f"b{side}")) for side in self.sides]

    @property
    def convolutions(self) -> list[StyledConvolution]:
        """Those that take noise, in order."""
        return [convolution for block in self.blocks for convolution in block.convolutions]

    def forward(self, ws: Tensor, noise: Sequence[Tensor | None]) -> Tensor:
        """noise: for each of `convolutions`, [N or 1, 1, side, side] or None."""
        return self._from(0, None, None, ws, noise)

    def _from(
        self, start: int, x: Tensor | None, image: Tensor | None, ws: Tensor, noise: Sequence[Tensor | None]
    ) -> Tensor:
        """What blocks from number `start` on make of what the one before gave."""
        first = 2 * start - 1 if start else 0
        for number in range(start, len(self.sides)):
            block = self.blocks[number]
            if x is not None and image is not None and self._apart(block, x):
                parts = [
                    self._from(number, x[[one]], image[[one]], ws[[one]], [_of_one(each, one) for each in noise])
                    for one in range(len(x))
                ]
                return torch.cat(parts)
            count = len(block.convolutions)
            x, image = block(x, image, ws[:, first : first + count + 1], noise[first : first + count])
            first += count
        assert image is not None  # there is a block at least
        return image

    def _apart(self, block: Block, x: Tensor) -> bool:
        """Whether pictures go through a block, and those behind it, one at a time: on a CPU, where one alone fills its
        caches, and the memory of several would be fetched from the system anew for every layer."""
        floats = len(block.conv1.bias) * block.side**2
        return len(x) > 1 and 4 * floats >= APART and x.device.type == "cpu" and not torch.is_grad_enabled()


def _of_one(noise: Tensor | None, one: int) -> Tensor | None:
    """A picture's own noise, or what all share."""
    return noise if noise is None or len(noise) == 1 else noise[[one]]
