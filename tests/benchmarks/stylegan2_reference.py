"""StyleGAN2's synthesis as its paper and its authors' reference operations do it: a set of weights for each picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch.nn.functional as F
from torch import Tensor
from trilemma.models.generators.gan.stylegan2.layers import GAIN, SLOPE
from trilemma.models.generators.gan.stylegan2.network import StyleGAN2
from trilemma.models.generators.gan.stylegan2.synthesis import StyledConvolution, ToRGB
from trilemma.tests.benchmarks.stylegan3_reference import resample


def modulated(x: Tensor, weight: Tensor, style: Tensor, demodulate: bool, up: bool) -> Tensor:
    """A convolution of each picture by weights of its own, all in one call as groups."""
    count = len(x)
    weights = weight * style[:, None, :, None, None]
    if demodulate:
        weights = weights * (weights.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    grouped = x.reshape(1, -1, *x.shape[2:])
    if up:
        turned = weights.transpose(1, 2).flatten(0, 1)
        made = F.conv_transpose2d(grouped, turned, stride=2, groups=count)
    else:
        made = F.conv2d(grouped, weights.flatten(0, 1), padding=weight.shape[-1] // 2, groups=count)
    return made.view(count, -1, *made.shape[2:])


def styled(module: StyledConvolution, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
    """As `module` does it."""
    x = modulated(x, module.weight, module.affine(w), True, module.up)
    if module.up:
        x = resample(x, module.resample_filter, 1, 1, (1, 1), 4.0)
    if noise is not None:
        x = x + noise * module.noise_strength
    return _clamped(F.leaky_relu(x + module.bias[:, None, None], SLOPE) * GAIN, module.most)


def coloured(module: ToRGB, x: Tensor, w: Tensor) -> Tensor:
    """As `module` does it."""
    x = modulated(x, module.weight, module.affine(w) * module.scale, False, False)
    return _clamped(x + module.bias[:, None, None], module.most)


def _clamped(x: Tensor, most: float | None) -> Tensor:
    return x if most is None else x.clamp(-most, most)


def synthesize(network: StyleGAN2, ws: Tensor, noise: Sequence[Tensor | None]) -> Tensor:
    """Pictures of ws [N, num_ws, w_dim], as the network's own call."""
    left = list(noise)
    image: Tensor | None = None
    x = cast(Tensor, network.synthesis.blocks[0].const).expand(len(ws), -1, -1, -1)
    layer = 0
    for block in network.synthesis.blocks:
        for module in block.convolutions:
            x = styled(module, x, ws[:, layer], left.pop(0))
            layer += 1
        colours = coloured(block.torgb, x, ws[:, layer])
        if image is not None:
            colours = resample(image, block.resample_filter, 2, 1, (2, 1), 4.0) + colours
        image = colours
    assert image is not None  # there is a block at least
    return image
