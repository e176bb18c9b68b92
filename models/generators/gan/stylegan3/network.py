"""The whole network, in torch's own operations only: Fourier features to a picture (Karras et al. 2021)."""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..style_generator import StyleNetwork
from ..stylegan2.layers import GAIN, Linear, clamp
from ..stylegan2.mapping import Mapping
from .design import Band, Layer, Settings, Sizes, filters, layers
from .resampling import Resample, filtered_leaky_relu


class FourierInput(nn.Module):
    """Sines over the canvas, turned and shifted by w and by `transform`, mixed by a matrix."""

    transform: Tensor
    freqs: Tensor
    phases: Tensor

    def __init__(self, w_dim: int, channels: int, band: Band) -> None:
        super().__init__()
        self.band = band
        self.weight = nn.Parameter(torch.randn(channels, channels))
        self.affine = Linear(w_dim, 4)
        # Frequencies of a round spectrum that ends at the band's cutoff.
        frequencies = torch.randn(channels, 2)
        radii = frequencies.square().sum(dim=1, keepdim=True).sqrt()
        frequencies = frequencies / (radii * radii.square().exp().pow(0.25)) * band.cutoff
        self.register_buffer("transform", torch.eye(3))
        self.register_buffer("freqs", frequencies)
        self.register_buffer("phases", torch.rand(channels) - 0.5)

    def forward(self, w: Tensor, moved: Tensor | None = None) -> Tensor:
        """w: [N, w_dim]. moved: [3, 3], from places of the wanted picture to those of the drawn one."""
        transform = self.transform if moved is None else self.transform @ moved.to(self.transform)
        told = self.affine(w)
        told = told / told[:, :2].norm(dim=1, keepdim=True)
        cosine, sine, x_shift, y_shift = told.unbind(1)
        one, nothing = torch.ones_like(cosine), torch.zeros_like(cosine)
        turn = [cosine, -sine, nothing, sine, cosine, nothing, nothing, nothing, one]
        shift = [one, nothing, -x_shift, nothing, one, -y_shift, nothing, nothing, one]
        way = torch.stack(turn, 1).view(-1, 3, 3) @ torch.stack(shift, 1).view(-1, 3, 3) @ transform
        phases = self.phases + (self.freqs @ way[:, :2, 2:]).squeeze(2)
        frequencies = self.freqs @ way[:, :2, :2]  # [N, channels, 2]
        # Those that the canvas cannot hold, after a transform that shrinks, fade out.
        room = self.band.rate / 2 - self.band.cutoff
        amplitudes = (1 - (frequencies.norm(dim=2) - self.band.cutoff) / room).clamp(0, 1)
        reach = 0.5 * self.band.size / self.band.rate
        theta = w.new_tensor([[reach, 0.0, 0.0], [0.0, reach, 0.0]])
        places = F.affine_grid(theta[None], [1, 1, self.band.size, self.band.size], align_corners=False)
        angles = places.view(1, -1, 2) @ frequencies.transpose(1, 2) + phases[:, None]
        waves = torch.sin(angles * (2 * math.pi)) * amplitudes[:, None]  # [N, places, channels]
        mixed = waves @ (self.weight / math.sqrt(len(self.weight))).T
        return mixed.transpose(1, 2).reshape(len(w), -1, self.band.size, self.band.size)


class FilteredLayer(nn.Module):
    """A convolution whose input channels are scaled by a style, then a leaky ReLU between a filter up and one down.

    The last one of a network mixes colours: it is neither demodulated, activated nor filtered. magnitude_ema: running
    mean square of its input.
    """

    magnitude_ema: Tensor
    up_filter: Tensor | None
    down_filter: Tensor | None

    def __init__(self, inputs: int, outputs: int, sizes: Sizes, settings: Settings, plan: Layer, colours: bool) -> None:
        super().__init__()
        self.plan = plan
        self.colours = colours
        self.most = settings.clamp
        kernel = 1 if colours else sizes.kernel
        self.affine = Linear(sizes.w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("magnitude_ema", torch.ones([]))
        up, down = filters(plan, sizes.radial)
        self.register_buffer("up_filter", up)
        self.register_buffer("down_filter", down)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x: [N, inputs, H, H]. w: [N, w_dim]."""
        style = self.affine(w)
        gain = self.magnitude_ema.rsqrt()
        weight = self.weight
        if self.colours:
            scale = gain / math.sqrt(weight[0].numel())
            x = F.conv2d(x * (style * scale)[:, :, None, None], weight) + self.bias[:, None, None]
            return clamp(x, self.most)
        # Both brought to unit variance first, so that demodulation's epsilon counts for the same in every file.
        weight = weight * weight.square().mean(dim=(1, 2, 3), keepdim=True).rsqrt()
        style = style * style.square().mean(dim=1, keepdim=True).rsqrt()
        energy = style.square() @ weight.square().sum(dim=(2, 3)).T  # [N, outputs]
        x = F.conv2d(x * style[:, :, None, None], weight, padding=weight.shape[-1] - 1)
        x = torch.addcmul(self.bias[:, None, None], x, ((energy + 1e-8).rsqrt() * gain)[:, :, None, None])
        return self._activated(x)

    def _activated(self, x: Tensor) -> Tensor:
        plan, size = self.plan, x.shape[-1]
        one = x.new_ones(1)
        up_filter = one if self.up_filter is None else self.up_filter
        down_filter = one if self.down_filter is None else self.down_filter
        high = size * plan.up + plan.before + plan.after - len(up_filter) + 1
        up = Resample(up_filter, plan.up, 1, plan.before, size, high)
        down: Resample | Tensor = down_filter
        if down_filter.ndim == 1:
            down = Resample(down_filter, 1, plan.down, 0, high, (high - len(down_filter)) // plan.down + 1)
        return filtered_leaky_relu(x, up, down, plan.down, GAIN, self.most)


class Synthesis(nn.Module):
    """w [N, num_ws, w_dim] to a picture, float [N, img_channels, R, R], about -1..1. Layers: `L0_36_512`, ..., named by
    number, side and channels."""

    def __init__(self, sizes: Sizes, settings: Settings) -> None:
        super().__init__()
        self.output_scale = settings.output_scale
        plan = layers(sizes, settings)
        inputs, outputs = sizes.channels, (*sizes.channels[1:], sizes.img_channels)
        self.input = FourierInput(sizes.w_dim, inputs[0], plan[0].given)
        self.names = [f"L{i}_{each.made.size}_{outputs[i]}" for i, each in enumerate(plan)]
        for index, (name, each) in enumerate(zip(self.names, plan, strict=True)):
            colours = index == len(plan) - 1
            layer = FilteredLayer(inputs[index], outputs[index], sizes, settings, each, colours)
            self.add_module(name, layer)

    @property
    def layers(self) -> list[FilteredLayer]:
        return [cast(FilteredLayer, self.get_submodule(name)) for name in self.names]

    def forward(self, ws: Tensor, moved: Tensor | None = None) -> Tensor:
        first, *others = ws.unbind(1)
        x = self.input(first, moved)
        for layer, w in zip(self.layers, others, strict=True):
            x = layer(x, w)
        return x * self.output_scale


class StyleGAN3(StyleNetwork):
    """Tensors are named as in NVIDIA's snapshots."""

    def __init__(self, sizes: Sizes, settings: Settings | None = None) -> None:
        super().__init__()
        settings = settings or Settings()
        self.sizes = sizes
        self.settings = settings
        self.z_dim, self.c_dim, self.w_dim = sizes.z_dim, sizes.c_dim, sizes.w_dim
        self.resolution, self.img_channels = sizes.resolution, sizes.img_channels
        self.num_ws = len(sizes.channels) + 1
        self.synthesis = Synthesis(sizes, settings)
        self.mapping = Mapping(sizes.z_dim, sizes.c_dim, sizes.w_dim, sizes.num_mapping_layers, settings.rate)

    def style_weights(self) -> list[Tensor]:
        """Of the input, which it turns and shifts, then of each layer."""
        return [layer.affine.weight for layer in (self.synthesis.input, *self.synthesis.layers)]

    def forward(self, ws: Tensor, moved: Tensor | None = None) -> Tensor:
        """moved: as in `FourierInput`."""
        return self.synthesis(ws, moved)
