"""The U-Nets of EDM (Karras et al., 2022, arXiv 2206.00364) in the layout of its authors.

One block serves both: DDPM++ and NCSN++ (Song et al., 2021, arXiv 2011.13456), and ADM (Dhariwal and Nichol, 2021,
arXiv 2105.05233).
"""

from __future__ import annotations

import math
from typing import Any, Final, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..adm.network import activated

Coder = Literal["standard", "skip", "residual"]
HEAD_CHANNELS: Final = 64
"""Of each head in ADM; the others attend with one."""
LONGEST: Final = 10_000.0


class Sizes(NamedTuple):
    """channels, outputs: of pictures, and of what the network gives. first: of the first layer. widths: of the levels,
    the finest first. attended: which levels attend. noise: numbers that the level of noise is embedded by, `embedding`
    after it. labels, augmentations: numbers of either, 0 without. adm: whether it is ADM. fourier: whether the level is
    embedded by random frequencies. taps: of the filters at changes of side, along a side.
    """

    side: int
    channels: int
    outputs: int
    first: int
    widths: tuple[int, ...]
    blocks: int
    attended: tuple[bool, ...]
    noise: int
    embedding: int
    labels: int = 0
    augmentations: int = 0
    adm: bool = False
    fourier: bool = False
    encoder: Coder = "standard"
    decoder: Coder = "standard"
    taps: int = 2


class _Conv(nn.Module):
    """A convolution, of an odd kernel or of none, which may halve or double the side by a filter first, or after it
    (`fused`, of those that halve)."""

    resample_filter: Tensor

    def __init__(
        self, inputs: int, outputs: int, kernel: int, up: bool = False, taps: int = 0, fused: bool = False
    ) -> None:
        super().__init__()
        self.up, self.fused, self.taps = up, fused, taps
        self.weight = nn.Parameter(torch.zeros(outputs, inputs, kernel, kernel)) if kernel else None
        self.bias = nn.Parameter(torch.zeros(outputs)) if kernel else None
        if taps:
            self.register_buffer("resample_filter", torch.zeros(1, 1, taps, taps))

    def forward(self, x: Tensor) -> Tensor:
        border = (self.taps - 1) // 2
        if self.fused and self.weight is not None:
            x = F.conv2d(x, self.weight, padding=self.weight.shape[-1] // 2 + border)
            return self._resampled(x, 0) + _over(self.bias)
        if self.taps:
            x = self._resampled(x, border)
        return x if self.weight is None else F.conv2d(x, self.weight, self.bias, padding=self.weight.shape[-1] // 2)

    def _resampled(self, x: Tensor, border: int) -> Tensor:
        channels = x.shape[1]
        filters = self.resample_filter.expand(channels, -1, -1, -1)
        if self.up:
            return F.conv_transpose2d(x, filters * 4, stride=2, padding=border, groups=channels)
        return F.conv2d(x, filters, stride=2, padding=border, groups=channels)


def _over(values: Any) -> Tensor:
    """[C] as it is added to pictures, or [N, C]."""
    return values[..., None, None]


def _silu(x: Tensor) -> Tensor:
    """In place where nothing has to be derived."""
    return F.silu(x, inplace=not torch.is_grad_enabled())


def _norm(width: int, epsilon: float) -> nn.GroupNorm:
    return nn.GroupNorm(min(32, width // 4), width, epsilon)


class _Block(nn.Module):
    """A residual block, which may halve or double the side, and may attend."""

    def __init__(
        self, sizes: Sizes, inputs: int, outputs: int, attends: bool = False, taps: int = 0, up: bool = False
    ) -> None:
        super().__init__()
        self.inputs, self.adm = inputs, sizes.adm
        self.scale = 1.0 if sizes.adm else math.sqrt(0.5)
        epsilon = 1e-5 if sizes.adm else 1e-6
        self.norm0 = _norm(inputs, epsilon)
        self.conv0 = _Conv(inputs, outputs, 3, up, taps)
        self.affine = nn.Linear(sizes.embedding, outputs * (2 if sizes.adm else 1))
        self.norm1 = _norm(outputs, epsilon)
        self.conv1 = _Conv(outputs, outputs, 3)
        projected = inputs != outputs or not sizes.adm
        self.skip = _Conv(inputs, outputs, int(projected), up, taps) if inputs != outputs or taps else None
        self.heads = 0
        if attends:
            self.heads = outputs // HEAD_CHANNELS if sizes.adm else 1
            self.norm2 = _norm(outputs, epsilon)
            self.qkv = _Conv(outputs, 3 * outputs, 1)
            self.proj = _Conv(outputs, outputs, 1)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """[N, inputs, h, w] and the embedding [N, E]."""
        made, told = self.conv0(activated(self.norm0, x)), _over(self.affine(told))
        if self.adm:
            scale, shift = told.chunk(2, dim=1)
            made = _silu(torch.addcmul(shift, self.norm1(made), scale + 1))
        else:
            made = activated(self.norm1, made + told)
        made = (self.conv1(made) + (x if self.skip is None else self.skip(x))) * self.scale
        return (self._attended(made) + made) * self.scale if self.heads else made

    def _attended(self, x: Tensor) -> Tensor:
        # Of each head's channels every third is of queries, of keys, of values.
        parts = self.qkv(self.norm2(x)).reshape(len(x), self.heads, x.shape[1] // self.heads, 3, -1)
        # Contiguous, or all weights are held at once: of ADM at a side of 32 more than all else.
        queries, keys, values = parts.permute(3, 0, 1, 4, 2).contiguous().unbind()
        return self.proj(F.scaled_dot_product_attention(queries, keys, values).transpose(2, 3).reshape(x.shape))


class _Frequencies(nn.Module):
    """Waves of the level of noise: of random frequencies from the file, or of fixed ones."""

    freqs: Tensor

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.pairs = sizes.noise // 2
        self.fourier, self.adm = sizes.fourier, sizes.adm
        if sizes.fourier:
            self.register_buffer("freqs", torch.zeros(self.pairs))

    def forward(self, level: Tensor) -> Tensor:
        """float32 [N] to float32 [N, noise]; ADM has cosines first."""
        if self.fourier:
            frequencies = 2 * math.pi * self.freqs.float()
        else:
            last = self.pairs if self.adm else self.pairs - 1
            frequencies = (1 / LONGEST) ** (torch.arange(self.pairs, dtype=torch.float32, device=level.device) / last)
        angles = torch.outer(level, frequencies)
        waves = (angles.cos(), angles.sin())
        return torch.cat(waves if self.adm else waves[::-1], dim=1)


class UNet(nn.Module):
    """What a preconditioned network is made of."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.map_noise = _Frequencies(sizes)
        after = sizes.embedding if sizes.adm else sizes.noise
        self.map_label = nn.Linear(sizes.labels, after, bias=not sizes.adm) if sizes.labels else None
        # Of no use but in training, which tells it how pictures were distorted.
        self.map_augment = nn.Linear(sizes.augmentations, sizes.noise, bias=False) if sizes.augmentations else None
        self.map_layer0 = nn.Linear(sizes.noise, sizes.embedding)
        self.map_layer1 = nn.Linear(sizes.embedding, sizes.embedding)
        self.enc = nn.ModuleDict(_encoder(sizes))
        self.dec = nn.ModuleDict(_decoder(sizes))
        if sizes.adm:
            self.out_norm = _norm(sizes.widths[0], 1e-5)
            self.out_conv = _Conv(sizes.widths[0], sizes.outputs, 3)

    def forward(self, x: Tensor, level: Tensor, labels: Tensor | None) -> Tensor:
        """[N, outputs, side, side] of pictures [N, channels, side, side], levels of noise, float32 [N] or [1], and
        classes, int64 [N], where it has them."""
        told = self._told(level, labels, x.dtype)
        x, given = self._encoded(x, told)
        picture = normed = None
        for name, block in self.dec.items():
            if isinstance(block, _Block):
                x = block(torch.cat([x, given.pop()], dim=1) if x.shape[1] != block.inputs else x, told)
            elif name.endswith("aux_up"):
                picture = block(picture)
            elif name.endswith("aux_norm"):
                normed = activated(block, x)
            else:
                picture = block(normed) if picture is None else block(normed) + picture
        return self.out_conv(activated(self.out_norm, x)) if picture is None else picture

    def _told(self, level: Tensor, labels: Tensor | None, dtype: torch.dtype) -> Tensor:
        waves = self.map_noise(level).to(dtype)
        classes: Any = 0
        if self.map_label is not None:
            assert labels is not None, "of a model with classes one is drawn where none is given"
            hot = F.one_hot(labels, self.sizes.labels).to(dtype)
            classes = self.map_label(hot if self.sizes.adm else hot * math.sqrt(self.sizes.labels))
        if self.sizes.adm:
            return F.silu(self.map_layer1(F.silu(self.map_layer0(waves))) + classes)
        return F.silu(self.map_layer1(F.silu(self.map_layer0(waves + classes))))

    def _encoded(self, x: Tensor, told: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What comes out at the coarsest level, and what the decoder takes of the levels."""
        given: list[Tensor] = []
        beside = x
        for name, block in self.enc.items():
            if name.endswith("aux_down"):
                beside = block(beside)
            elif name.endswith("aux_skip"):
                x = given[-1] = x + block(beside)
            elif name.endswith("aux_residual"):
                x = given[-1] = beside = (x + block(beside)) * math.sqrt(0.5)
            else:
                x = block(x, told) if isinstance(block, _Block) else block(x)
                given.append(x)
        return x, given


def _encoder(sizes: Sizes) -> dict[str, nn.Module]:
    found: dict[str, nn.Module] = {}
    current, beside = sizes.first, sizes.channels
    for level, width in enumerate(sizes.widths):
        place = f"{sizes.side >> level}x{sizes.side >> level}"
        if level == 0:
            found[f"{place}_conv"] = _Conv(sizes.channels, current, 3)
        else:
            found[f"{place}_down"] = _Block(sizes, current, current, taps=sizes.taps)
            if sizes.encoder == "skip":
                found[f"{place}_aux_down"] = _Conv(beside, beside, 0, taps=sizes.taps)
                found[f"{place}_aux_skip"] = _Conv(beside, current, 1)
            if sizes.encoder == "residual":
                found[f"{place}_aux_residual"] = _Conv(beside, current, 3, taps=sizes.taps, fused=True)
                beside = current
        for number in range(sizes.blocks):
            found[f"{place}_block{number}"] = _Block(sizes, current, width, sizes.attended[level])
            current = width
    return found


def _decoder(sizes: Sizes) -> dict[str, nn.Module]:
    found: dict[str, nn.Module] = {}
    given = [sizes.first]
    for level, width in enumerate(sizes.widths):
        given += [given[-1]] * (level > 0) + [width] * sizes.blocks
    current, last = sizes.widths[-1], len(sizes.widths) - 1
    for level in range(last, -1, -1):
        width, place = sizes.widths[level], f"{sizes.side >> level}x{sizes.side >> level}"
        if level == last:
            found[f"{place}_in0"] = _Block(sizes, current, current, attends=True)
            found[f"{place}_in1"] = _Block(sizes, current, current)
        else:
            found[f"{place}_up"] = _Block(sizes, current, current, taps=sizes.taps, up=True)
        for number in range(sizes.blocks + 1):
            attends = sizes.attended[level] and (sizes.adm or number == sizes.blocks)
            found[f"{place}_block{number}"] = _Block(sizes, current + given.pop(), width, attends)
            current = width
        if not sizes.adm and (sizes.decoder == "skip" or level == 0):
            if level < last and sizes.decoder == "skip":
                found[f"{place}_aux_up"] = _Conv(sizes.outputs, sizes.outputs, 0, up=True, taps=sizes.taps)
            found[f"{place}_aux_norm"] = _norm(current, 1e-6)
            found[f"{place}_aux_conv"] = _Conv(current, sizes.outputs, 3)
    return found
