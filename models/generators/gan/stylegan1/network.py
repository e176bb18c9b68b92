"""StyleGAN's network (Karras et al. 2018): convolutions whose outputs are normalised and given a style each.

Weights are held as they are applied: what the published files scale at run time is scaled when they are read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..style_generator import StyleNetwork
from ..stylegan2.layers import SLOPE
from ..stylegan2.mapping import RATE, Mapping

FIRST = 4
"""Side of the learned constant, pixels."""
FUSED = 128
"""From this side on upsampling and convolution are one transposed convolution."""


class Sizes(NamedTuple):
    """channels: of each level, from 4 pixels up. coloured: levels whose colours the file has."""

    z_dim: int
    w_dim: int
    num_layers: int
    channels: tuple[int, ...]
    img_channels: int
    coloured: tuple[int, ...]


class Settings(NamedTuple):
    """Wherein implementations differ; shapes do not tell it. rate: learning rate of the mapping relative to the rest.
    epsilon: of the normalisation. bias_first: whether a bias is added before the blur. shared_noise: whether both
    layers of a level take the same noise. levels: how many were trained, 0 for all. lod: levels that the picture is
    coarser than the network."""

    rate: float = RATE
    epsilon: float = 1e-8
    bias_first: bool = False
    shared_noise: bool = False
    levels: int = 0
    lod: float = 0.0


class StyledLayer(nn.Module):
    """A convolution (of the first layer: a constant), noise, bias, leaky ReLU, normalisation, style."""

    noise_const: Tensor
    blur: Tensor

    def __init__(self, inputs: int, outputs: int, w_dim: int, side: int, up: bool, settings: Settings) -> None:
        super().__init__()
        self.side, self.up, self.fused = side, up, up and side >= FUSED
        self.epsilon, self.bias_first = settings.epsilon, settings.bias_first and up
        if not inputs:
            self.const = nn.Parameter(torch.randn(outputs, side, side))
        elif self.fused:
            self.weight = nn.Parameter(torch.randn(inputs, outputs, 4, 4) / math.sqrt(4 * inputs))
        else:
            self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3) / math.sqrt(9 * inputs))
        if up:
            taps = torch.tensor([0.25, 0.5, 0.25])
            self.register_buffer("blur", taps.outer(taps))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("noise_const", torch.randn(side, side))
        self.style = nn.Linear(w_dim, 2 * outputs)

    def forward(self, before: Tensor | None, w: Tensor, noise: Tensor | None) -> Tensor:
        """before: [N, inputs, H, H], None for the first layer. noise: [N or 1, 1, side, side], None for none."""
        x = self._convolved(before, len(w))
        bias = self.bias[:, None, None]
        if self.up:
            channels = x.shape[1]
            x = x + bias if self.bias_first else x
            x = F.conv2d(x, self.blur.expand(channels, 1, -1, -1), padding=1, groups=channels)
        if noise is not None:
            x = torch.addcmul(x, noise, self.noise_strength[:, None, None])
        x = F.leaky_relu(x if self.bias_first else x + bias, SLOPE, inplace=True)
        scale, shift = self.style(w)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(shift, F.instance_norm(x, eps=self.epsilon), scale)

    def _convolved(self, before: Tensor | None, count: int) -> Tensor:
        if before is None:
            return self.const.expand(count, -1, -1, -1)
        if self.fused:
            return F.conv_transpose2d(before, self.weight, stride=2, padding=1)
        if self.up:
            before = F.interpolate(before, scale_factor=2, mode="nearest")
        return F.conv2d(before, self.weight, padding=1)


class Synthesis(nn.Module):
    """w [N, layers, w_dim] to a picture, about -1..1. Two layers to a level."""

    def __init__(self, sizes: Sizes, settings: Settings) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for level, (inputs, outputs) in enumerate(zip((0, *sizes.channels), sizes.channels, strict=False)):
            side = FIRST << level
            self.layers.append(StyledLayer(inputs, outputs, sizes.w_dim, side, level > 0, settings))
            self.layers.append(StyledLayer(outputs, outputs, sizes.w_dim, side, False, settings))
        self.colours = nn.ModuleDict(
            {str(level): nn.Conv2d(sizes.channels[level], sizes.img_channels, 1) for level in sizes.coloured}
        )

    def forward(self, ws: Tensor, noise: Sequence[Tensor | None], levels: int, lod: float) -> Tensor:
        """noise: of each layer. levels: how many are used. lod: how many levels coarser the picture is than the last of
        them, at the same size; between two whole numbers two levels are blended."""
        x: Tensor | None = None
        image: Tensor | None = None
        for level in range(levels):
            behind = levels - 1 - level
            if lod < behind + 1:
                for index in (2 * level, 2 * level + 1):
                    x = cast(StyledLayer, self.layers[index])(x, ws[:, index], noise[index])
            if image is not None and lod > behind:
                image = F.interpolate(image, scale_factor=2, mode="nearest")
            if behind - 1 < lod <= behind:
                image = self.colours[str(level)](x)
            elif image is not None and behind < lod < behind + 1:
                image = torch.lerp(image, self.colours[str(level)](x), math.ceil(lod) - lod)
        assert image is not None  # the last level is coloured
        return image


class StyleGAN1(StyleNetwork):
    """Names of the pack's own: published layouts are told in `layouts`."""

    def __init__(self, sizes: Sizes, settings: Settings | None = None) -> None:
        super().__init__()
        self.sizes = sizes
        self.settings = settings or Settings()
        self.levels = self.settings.levels or len(sizes.channels)
        self.z_dim, self.c_dim, self.w_dim = sizes.z_dim, 0, sizes.w_dim
        self.resolution, self.img_channels = FIRST << (self.levels - 1), sizes.img_channels
        self.num_ws = 2 * self.levels
        self.synthesis = Synthesis(sizes, self.settings)
        self.mapping = Mapping(sizes.z_dim, 0, sizes.w_dim, sizes.num_layers, self.settings.rate)

    def style_weights(self) -> list[Tensor]:
        """Of each layer in use: scales, then shifts."""
        return [cast(StyledLayer, layer).style.weight for layer in self.synthesis.layers][: self.num_ws]

    @property
    def noise_sides(self) -> list[int]:
        """Side of the noise of each layer in use."""
        return [FIRST << (index // 2) for index in range(self.num_ws)]

    def const_noise(self) -> list[Tensor]:
        """The noise that the file comes with, [1, 1, side, side] per layer; where it has none, drawn at loading."""
        layers = [cast(StyledLayer, layer) for layer in self.synthesis.layers]
        return [layer.noise_const[None, None] for layer in layers[: self.num_ws]]

    def forward(
        self, ws: Tensor, noise: Sequence[Tensor | None], levels: int | None = None, lod: float | None = None
    ) -> Tensor:
        """levels, lod: those of the file where they are not given."""
        return self.synthesis(ws, noise, levels or self.levels, self.settings.lod if lod is None else lod)
