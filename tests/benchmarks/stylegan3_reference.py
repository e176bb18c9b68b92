"""StyleGAN3's synthesis as its paper and its authors' reference operations do it: every filter over inserted zeros.

A set of convolution weights for each picture (modulated), zeros inserted between samples, margins, the filter along one
axis and then the other, and all samples computed of which every second is kept.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor
from trilemma.models.generators.gan.stylegan2.layers import GAIN, SLOPE
from trilemma.models.generators.gan.stylegan3.network import FilteredLayer, StyleGAN3


def resample(x: Tensor, filter: Tensor | None, up: int, down: int, margins: tuple[int, int], gain: float) -> Tensor:
    """[N, C, H, H]. margins: before and after, of both axes; negative ones cut off."""
    count, channels, side, _ = x.shape
    x = F.pad(x.reshape(count, channels, side, 1, side, 1), (0, up - 1, 0, 0, 0, up - 1))
    x = F.pad(x.reshape(count, channels, side * up, side * up), margins * 2)
    taps = x.new_ones(1, 1) if filter is None else filter
    taps = (taps * gain ** (taps.ndim / 2)).flip(tuple(range(taps.ndim)))
    if taps.ndim == 2:
        x = F.conv2d(x, taps.expand(channels, 1, -1, -1), groups=channels)
    else:
        x = F.conv2d(x, taps.expand(channels, 1, 1, -1), groups=channels)
        x = F.conv2d(x, taps[:, None].expand(channels, 1, -1, 1), groups=channels)
    return x[:, :, ::down, ::down]


def layer(module: FilteredLayer, x: Tensor, w: Tensor) -> Tensor:
    """As `module` does it."""
    count, colours, plan = len(x), module.colours, module.plan
    style = module.affine(w)
    weight = module.weight
    if colours:
        style = style / weight[0].numel() ** 0.5
    else:
        weight = weight * weight.square().mean((1, 2, 3), keepdim=True).rsqrt()
        style = style * style.square().mean().rsqrt()
    weights = weight * style[:, None, :, None, None]
    if not colours:
        weights = weights * (weights.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    weights = weights * module.magnitude_ema.rsqrt()
    grouped = x.reshape(1, -1, *x.shape[2:])
    padding = weight.shape[-1] - 1
    x = F.conv2d(grouped, weights.flatten(0, 1), padding=padding, groups=count).view(count, -1, *_sides(x, weight))
    x = x + module.bias[:, None, None]
    x = resample(x, module.up_filter, plan.up, 1, (plan.before, plan.after), plan.up**2)
    x = x if colours else F.leaky_relu(x, SLOPE) * GAIN
    x = x if module.most is None else x.clamp(-module.most, module.most)
    return resample(x, module.down_filter, 1, plan.down, (0, 0), 1.0)


def _sides(x: Tensor, weight: Tensor) -> tuple[int, int]:
    side = x.shape[-1] + weight.shape[-1] - 1
    return side, side


def synthesize(network: StyleGAN3, ws: Tensor) -> Tensor:
    """Pictures of ws [N, num_ws, w_dim], as the network's own call."""
    x = network.synthesis.input(ws[:, 0])
    for index, module in enumerate(network.synthesis.layers):
        x = layer(module, x, ws[:, index + 1])
    return x * network.synthesis.output_scale
