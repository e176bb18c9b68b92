"""The generator of denoising diffusion GANs (Xiao et al., 2022, arXiv 2112.07804, appendix C): an NCSN++ U-Net (Song et
al., 2021, arXiv 2011.13456) whose norms a mapped latent scales and shifts.

Names are those of the published files: all layers stand in one list, `all_modules`, in the order in which they act.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...gan.stylegan2.layers import fir_filter, upsample

EPSILON: Final = 1e-6
"""Of the norms. Cannot be detected."""
PERIOD: Final = 10_000.0
"""The longest of the sinusoids that tell the time. Cannot be detected."""
EMBEDDED: Final = 4
"""Width of the time's embedding over that of the network."""


class Sizes(NamedTuple):
    """A network of this kind.

    channels: of the first convolution, and of the sinusoids that tell the time. widths: of the levels, the finest
    first. blocks: residual ones at each level on the way down; one more on the way up. attended: which levels have
    attention. z_dim: of the latent. styles: width of the mapped latent. mappings: layers that map it, but the first.
    colours: of the pictures.
    """

    channels: int
    widths: tuple[int, ...]
    blocks: int
    attended: tuple[bool, ...]
    z_dim: int = 100
    styles: int = 256
    mappings: int = 3
    colours: int = 3


def embedding(time: Tensor, channels: int) -> Tensor:
    """Sinusoids of times [N], float32 [N, channels]: sines, then cosines."""
    half = channels // 2
    steps = torch.arange(half, dtype=torch.float32, device=time.device)
    angles = time.float()[:, None] * torch.exp(-math.log(PERIOD) / (half - 1) * steps)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def groups_of(width: int) -> int:
    return min(width // 4, 32)


def joined(x: Tensor, other: Tensor) -> Tensor:
    """The sum of two branches, at the variance of each."""
    return (x + other) * math.sqrt(0.5)


class AdaptiveNorm(nn.Module):
    """Group normalisation that styles [N, styles] scale and shift."""

    def __init__(self, width: int, styles: int) -> None:
        super().__init__()
        self.groups = groups_of(width)
        self.style = nn.Linear(styles, 2 * width)

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        scale, shift = self.style(styles)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(shift, F.group_norm(x, self.groups, eps=EPSILON), scale)


class Filter(nn.Module):
    """Halves or doubles the side of [N, C, H, W] by the filter [1, 3, 3, 1] along both axes."""

    def __init__(self, up: bool) -> None:
        super().__init__()
        self.up = up

    def forward(self, x: Tensor) -> Tensor:
        taps = fir_filter().to(x)
        if self.up:
            return upsample(x, taps)
        return F.conv2d(x, taps.expand(x.shape[1], 1, -1, -1), stride=2, padding=1, groups=x.shape[1])


class Residual(nn.Module):
    """Two convolutions, told the time between them. resample: "up", "down" or nothing."""

    def __init__(self, inputs: int, width: int, sizes: Sizes, resample: str = "") -> None:
        super().__init__()
        self.GroupNorm_0 = AdaptiveNorm(inputs, sizes.styles)
        self.Conv_0 = nn.Conv2d(inputs, width, 3, padding=1)
        self.Dense_0 = nn.Linear(EMBEDDED * sizes.channels, width)
        self.GroupNorm_1 = AdaptiveNorm(width, sizes.styles)
        self.Conv_1 = nn.Conv2d(width, width, 3, padding=1)
        self.Conv_2 = nn.Conv2d(inputs, width, 1) if inputs != width or resample else nn.Identity()
        self.resampled = Filter(resample == "up") if resample else nn.Identity()

    def forward(self, x: Tensor, time: Tensor, styles: Tensor) -> Tensor:
        """x: [N, inputs, H, W]. time: [N or 1, EMBEDDED channels], activated."""
        h = self.resampled(_activated(self.GroupNorm_0(x, styles)))
        h = self.Conv_0(h) + self.Dense_0(time)[:, :, None, None]
        h = self.Conv_1(_activated(self.GroupNorm_1(h, styles)))
        return joined(self.Conv_2(self.resampled(x)), h)


def _activated(x: Tensor) -> Tensor:
    """SiLU, in place where nothing has to be derived."""
    return F.silu(x, inplace=not torch.is_grad_enabled())


class PerPlace(nn.Module):
    """A dense layer of tokens [N, tokens, width]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.empty(width, width))
        self.b = nn.Parameter(torch.zeros(width))

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens @ self.W + self.b


class Attention(nn.Module):
    """Self-attention of one head over all places."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.GroupNorm_0 = nn.GroupNorm(groups_of(width), width, EPSILON)
        self.NIN_0, self.NIN_1, self.NIN_2, self.NIN_3 = (PerPlace(width) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.GroupNorm_0(x).flatten(2).transpose(1, 2)
        seen = F.scaled_dot_product_attention(self.NIN_0(tokens), self.NIN_1(tokens), self.NIN_2(tokens))
        return joined(x, self.NIN_3(seen).transpose(1, 2).unflatten(2, x.shape[2:]))


class Pyramid(nn.Module):
    """The picture at half the side, in as many channels as the level that it joins."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.Conv2d_0 = nn.Conv2d(inputs, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        blurred = F.conv2d(x, fir_filter().to(x).expand(x.shape[1], 1, -1, -1), padding=2, groups=x.shape[1])
        return self.Conv2d_0(blurred)


class PixelNorm(nn.Module):
    """[N, z_dim] at a mean square of 1."""

    def forward(self, z: Tensor) -> Tensor:
        return z * (z.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


class DenoisingGenerator(nn.Module):
    """Noisy pictures [N, colours, S, S], their times [N or 1] and latents [N, z_dim] to clean pictures, -1..1."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.all_modules = nn.ModuleList(_layers(sizes))
        mapping: list[nn.Module] = [PixelNorm(), nn.Linear(sizes.z_dim, sizes.styles), nn.SiLU()]
        for _ in range(sizes.mappings):
            mapping += [nn.Linear(sizes.styles, sizes.styles), nn.SiLU()]
        self.z_transform = nn.Sequential(*mapping)

    def forward(self, x: Tensor, time: Tensor, z: Tensor) -> Tensor:
        sizes, layers = self.sizes, iter(self.all_modules)
        styles = self.z_transform(z)
        waves = embedding(time, sizes.channels).to(x.dtype)
        told = F.silu(next(layers)(waves))
        told = F.silu(next(layers)(told))

        pyramid, h = x, next(layers)(x)
        skips = [h]
        for level, attends in enumerate(sizes.attended):
            if level:
                h = next(layers)(h, told, styles)
                pyramid = h = joined(next(layers)(pyramid), h)
                skips.append(h)
            for _ in range(sizes.blocks):
                h = next(layers)(h, told, styles)
                h = next(layers)(h) if attends else h
                skips.append(h)
        h = next(layers)(h, told, styles)
        h = next(layers)(h)
        h = next(layers)(h, told, styles)
        for level in reversed(range(len(sizes.widths))):
            for _ in range(sizes.blocks + 1):
                h = next(layers)(torch.cat([h, skips.pop()], dim=1), told, styles)
            h = next(layers)(h) if sizes.attended[level] else h
            h = next(layers)(h, told, styles) if level else h
        h = _activated(next(layers)(h))
        return next(layers)(h).tanh()


def _layers(sizes: Sizes) -> Iterator[nn.Module]:
    """All of them, in the order in which they act."""
    embedded = EMBEDDED * sizes.channels
    yield nn.Linear(sizes.channels, embedded)
    yield nn.Linear(embedded, embedded)
    yield nn.Conv2d(sizes.colours, sizes.channels, 3, padding=1)
    current, pyramid = sizes.channels, sizes.colours
    skips = [current]
    for level, (width, attends) in enumerate(zip(sizes.widths, sizes.attended, strict=True)):
        if level:
            yield Residual(current, current, sizes, "down")
            yield Pyramid(pyramid, current)
            pyramid = current
            skips.append(current)
        for _ in range(sizes.blocks):
            yield Residual(current, width, sizes)
            current = width
            if attends:
                yield Attention(current)
            skips.append(current)
    yield Residual(current, current, sizes)
    yield Attention(current)
    yield Residual(current, current, sizes)
    for level in reversed(range(len(sizes.widths))):
        for _ in range(sizes.blocks + 1):
            yield Residual(current + skips.pop(), sizes.widths[level], sizes)
            current = sizes.widths[level]
        if sizes.attended[level]:
            yield Attention(current)
        if level:
            yield Residual(current, current, sizes, "up")
    yield nn.GroupNorm(groups_of(current), current, EPSILON)
    yield nn.Conv2d(current, sizes.colours, 3, padding=1)
