"""The U-Nets and the classifier of guided diffusion (Dhariwal and Nichol, 2021, arXiv 2105.05233, section 3).

They are those of improved DDPM (Nichol and Dhariwal, 2021, arXiv 2102.09672) too, whose file layout is the same.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GROUPS: Final = 32
PERIOD: Final = 10_000.0
"""The longest of the sinusoids that tell the time."""


class Sizes(NamedTuple):
    """A network of this kind.

    channels: of the sinusoids that tell the time, a quarter of their embedding's. widths: of the levels, the finest
    first. blocks: residual ones at each level on the way down; one more on the way up. attended: which levels have
    attention. inputs, outputs: channels. classes: 0 for none. resampling_blocks: whether residual blocks halve and
    double the side, not convolutions alone. scale_shift: whether the embedding scales and shifts a norm's output, not
    only adds to its input. heads: of attention, or 0, then each has head_channels. grouped: whether each head's
    queries, keys and values lie together (the legacy order), not all queries, all keys, all values.
    """

    channels: int
    widths: tuple[int, ...]
    blocks: int
    attended: tuple[bool, ...]
    inputs: int = 3
    outputs: int = 6
    classes: int = 0
    resampling_blocks: bool = True
    scale_shift: bool = True
    heads: int = 0
    head_channels: int = 64
    grouped: bool = False

    def heads_of(self, width: int) -> int:
        """How many an attention of this width has."""
        return self.heads or width // self.head_channels


def embedding(time: Tensor, channels: int) -> Tensor:
    """Sinusoids of times, float32 [N, channels]: cosines, then sines."""
    half = channels // 2
    steps = torch.arange(half, dtype=torch.float32, device=time.device)
    angles = time.float()[:, None] * torch.exp(-math.log(PERIOD) / half * steps)
    waves = torch.cat([angles.cos(), angles.sin()], dim=1)
    return F.pad(waves, (0, channels % 2))


def activated(norm: nn.Module, x: Tensor) -> Tensor:
    """SiLU of the normalised, in place where nothing has to be derived."""
    return F.silu(norm(x), inplace=not torch.is_grad_enabled())


class Resample(nn.Module):
    """Twice or half the side, by a convolution behind it, or one that does it. `name` is the published one."""

    def __init__(self, width: int, up: bool) -> None:
        super().__init__()
        self.up = up
        self.add_module("conv" if up else "op", nn.Conv2d(width, width, 3, 1 if up else 2, padding=1))

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        return self.get_submodule("conv")(doubled(x)) if self.up else self.get_submodule("op")(x)


def doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


class Residual(nn.Module):
    """Two convolutions, told the time and the class between them. resample: "up", "down" or nothing."""

    def __init__(self, inputs: int, width: int, sizes: Sizes, resample: str = "") -> None:
        super().__init__()
        self.resample = resample
        self.scale_shift = sizes.scale_shift
        self.in_layers = nn.Sequential(nn.GroupNorm(GROUPS, inputs), nn.SiLU(), nn.Conv2d(inputs, width, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(4 * sizes.channels, width * (1 + sizes.scale_shift)))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(GROUPS, width), nn.SiLU(), nn.Dropout(), nn.Conv2d(width, width, 3, padding=1)
        )
        self.skip_connection = nn.Identity() if inputs == width else nn.Conv2d(inputs, width, 1)

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        """x: [N, inputs, h, w]. embedded: [N or 1, 4 channels], activated."""
        h = activated(self.in_layers[0], x)
        if self.resample:
            change = doubled if self.resample == "up" else _halved
            h, x = change(h), change(x)
        h = self.in_layers[2](h)
        told = self.emb_layers[1](embedded)[:, :, None, None]
        if self.scale_shift:
            scale, shift = told.chunk(2, dim=1)
            h = torch.addcmul(shift, self.out_layers[0](h), 1 + scale)
            h = F.silu(h, inplace=not torch.is_grad_enabled())
        else:
            h = activated(self.out_layers[0], h + told)
        return self.skip_connection(x) + self.out_layers[3](h)


def _halved(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 2)


def attend(qkv: Tensor, heads: int, grouped: bool) -> Tensor:
    """Attention over tokens. qkv: [N, tokens, 3 width], see `Sizes.grouped`; gives [N, tokens, width]."""
    count, tokens, channels = qkv.shape
    each = channels // 3 // heads
    if grouped:
        parts = qkv.view(count, tokens, heads, 3, each).permute(3, 0, 2, 1, 4)
    else:
        parts = qkv.view(count, tokens, 3, heads, each).permute(2, 0, 3, 1, 4)
    seen = F.scaled_dot_product_attention(parts[0], parts[1], parts[2])
    return seen.transpose(1, 2).reshape(count, tokens, channels // 3)


class Attention(nn.Module):
    """Self-attention over all places."""

    def __init__(self, width: int, sizes: Sizes) -> None:
        super().__init__()
        self.heads, self.grouped = sizes.heads_of(width), sizes.grouped
        self.norm = nn.GroupNorm(GROUPS, width)
        self.qkv = nn.Conv1d(width, 3 * width, 1)
        self.proj_out = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        count, width, *sides = x.shape
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        seen = attend(F.linear(tokens, self.qkv.weight[:, :, 0], self.qkv.bias), self.heads, self.grouped)
        made = F.linear(seen, self.proj_out.weight[:, :, 0], self.proj_out.bias)
        return x + made.transpose(1, 2).reshape(count, width, *sides)


class First(nn.Conv2d):
    """The convolution that everything begins with; of the signature of all blocks."""

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return super().forward(x)


class _Network(nn.Module):
    """What both have: the time, the way down, the middle."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        width = 4 * sizes.channels
        self.time_embed = nn.Sequential(nn.Linear(sizes.channels, width), nn.SiLU(), nn.Linear(width, width))
        self.input_blocks = nn.ModuleList([nn.ModuleList([First(sizes.inputs, sizes.widths[0], 3, padding=1)])])
        self.given = [sizes.widths[0]]
        """Channels of each output of the way down."""
        current = sizes.widths[0]
        for level, width in enumerate(sizes.widths):
            for _ in range(sizes.blocks):
                self.input_blocks.append(self._block(current, width, level))
                current = width
                self.given.append(current)
            if level + 1 < len(sizes.widths):
                halving = Residual(width, width, sizes, "down") if sizes.resampling_blocks else Resample(width, False)
                self.input_blocks.append(nn.ModuleList([halving]))
                self.given.append(current)
        self.middle_block = nn.ModuleList(
            [Residual(current, current, sizes), self._attention(current), Residual(current, current, sizes)]
        )

    @property
    def kind(self) -> Tensor:
        """A weight, of the dtype and on the device of all."""
        return self.time_embed[0].get_parameter("weight")

    def _attention(self, width: int) -> Attention:
        return Attention(width, self.sizes)

    def _block(self, inputs: int, width: int, level: int) -> nn.ModuleList:
        attention = [self._attention(width)] if self.sizes.attended[level] else []
        return nn.ModuleList([Residual(inputs, width, self.sizes), *attention])

    def _embedded(self, time: Tensor, labels: Tensor | None = None) -> Tensor:
        """[N or 1, 4 channels], activated, as every block takes it."""
        found = self.time_embed(embedding(time, self.sizes.channels).to(self.kind.dtype))
        if labels is not None:
            found = found + self.get_submodule("label_emb")(labels)
        return F.silu(found)

    def _down(self, x: Tensor, embedded: Tensor) -> list[Tensor]:
        """What each block on the way down gives."""
        made = [x.to(memory_format=torch.channels_last)]
        for block in self.input_blocks:
            made.append(_through(block, made[-1], embedded))
        return made[1:]


def _through(block: Any, x: Tensor, embedded: Tensor) -> Tensor:
    for part in block:
        x = part(x, embedded)
    return x


class UNet(_Network):
    """Foresees noise, and of the outputs that are left how much of two variances there is to be."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        if sizes.classes:
            self.label_emb = nn.Embedding(sizes.classes, 4 * sizes.channels)
        self.output_blocks = nn.ModuleList()
        given, current = list(self.given), sizes.widths[-1]
        for level in reversed(range(len(sizes.widths))):
            width = sizes.widths[level]
            for place in range(sizes.blocks + 1):
                block = self._block(current + given.pop(), width, level)
                current = width
                if level and place == sizes.blocks:
                    block.append(
                        Residual(width, width, sizes, "up") if sizes.resampling_blocks else Resample(width, True)
                    )
                self.output_blocks.append(block)
        self.out = nn.Sequential(
            nn.GroupNorm(GROUPS, current), nn.SiLU(), nn.Conv2d(current, sizes.outputs, 3, padding=1)
        )

    def forward(self, x: Tensor, time: Tensor, labels: Tensor | None = None) -> Tensor:
        """[N, outputs, h, w] of noisy pictures [N, inputs, h, w] at times [N], or [1] for all. labels: int64 [N], of
        a network with classes."""
        embedded = self._embedded(time, labels)
        made = self._down(x, embedded)
        x = _through(self.middle_block, made[-1], embedded)
        for block in self.output_blocks:
            x = _through(block, torch.cat([x, made.pop()], dim=1), embedded)
        return self.out[2](activated(self.out[0], x))


class AttentionPool(nn.Module):
    """What a picture's mean sees of its places (as CLIP pools), as logits. cells: of a side."""

    def __init__(self, cells: int, width: int, head_channels: int, outputs: int) -> None:
        super().__init__()
        self.heads = width // head_channels
        self.positional_embedding = nn.Parameter(torch.zeros(width, cells**2 + 1))
        self.qkv_proj = nn.Conv1d(width, 3 * width, 1)
        self.c_proj = nn.Conv1d(width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2)
        tokens = torch.cat([tokens.mean(dim=2, keepdim=True), tokens], dim=2) + self.positional_embedding
        qkv = F.linear(tokens.transpose(1, 2), self.qkv_proj.weight[:, :, 0], self.qkv_proj.bias)
        seen = attend(qkv, self.heads, grouped=False)[:, 0]
        return F.linear(seen, self.c_proj.weight[:, :, 0], self.c_proj.bias)


class Classifier(_Network):
    """Names what is on noisy pictures: the way down of a U-Net, its middle, and an `AttentionPool`."""

    def __init__(self, sizes: Sizes, cells: int) -> None:
        super().__init__(sizes)
        width = sizes.widths[-1]
        pool = AttentionPool(cells, width, sizes.head_channels, sizes.outputs)
        self.out = nn.Sequential(nn.GroupNorm(GROUPS, width), nn.SiLU(), pool)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Logits [N, outputs] of noisy pictures [N, 3, h, w] at times [N], or [1] for all."""
        embedded = self._embedded(time)
        made = self._down(x, embedded)[-1]
        return self.out[2](activated(self.out[0], _through(self.middle_block, made, embedded)))
