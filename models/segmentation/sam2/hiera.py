"""Hiera with windows, the backbone of SAM 2 (Ryali et al. 2023; Bolya et al. 2023 for its positions)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import torch
import torch.nn.functional as F
from torch import nn

EPS: Final = 1e-6
PATCH: Final = 7
STRIDE: Final = 4
"""Side and distance of the patches, in pixels: they overlap."""


class Mlp(nn.Module):
    """Two layers on the last axis."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, hidden), nn.Linear(hidden, width)])

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.layers[1](F.gelu(self.layers[0](tokens)))


class Attention(nn.Module):
    """Attention of all places of a map [N, H, W, inputs] to each other: [N, H, W, outputs].

    pool: only one query of 2 x 2 is kept, the largest in each channel, so that height and width are halved.
    """

    def __init__(self, inputs: int, outputs: int, heads: int, pool: bool) -> None:
        super().__init__()
        self.heads, self.pool = heads, pool
        self.qkv = nn.Linear(inputs, 3 * outputs)
        self.proj = nn.Linear(outputs, outputs)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        count, height, width, _ = maps.shape
        query, key, value = self.qkv(maps).reshape(count, height, width, 3, -1).unbind(3)
        if self.pool:
            query = halved(query)
        size = query.shape[1:3]
        seen = F.scaled_dot_product_attention(self._by_head(query), self._by_head(key), self._by_head(value))
        return self.proj(seen.transpose(1, 2).reshape(count, *size, -1))

    def _by_head(self, maps: torch.Tensor) -> torch.Tensor:
        """[N, heads, H * W, channels of one]."""
        return maps.reshape(len(maps), -1, self.heads, maps.shape[-1] // self.heads).transpose(1, 2)


class Block(nn.Module):
    """A transformer block on a map [B, H, W, inputs]; where the width changes, height and width are halved.

    window: side of the windows within which it attends, before halving; 0 for the whole map.
    """

    def __init__(self, inputs: int, outputs: int, heads: int, mlp_ratio: float, window: int) -> None:
        super().__init__()
        self.window = window
        self.halves = inputs != outputs
        self.norm1 = nn.LayerNorm(inputs, eps=EPS)
        self.attn = Attention(inputs, outputs, heads, self.halves)
        self.norm2 = nn.LayerNorm(outputs, eps=EPS)
        self.mlp = Mlp(outputs, int(outputs * mlp_ratio))
        if self.halves:
            self.proj = nn.Linear(inputs, outputs)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        normed = self.norm1(maps)
        kept = halved(self.proj(normed)) if self.halves else maps
        kept = kept + self._attend(normed, kept.shape[1], kept.shape[2])
        return kept + self.mlp(self.norm2(kept))

    def _attend(self, maps: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """The attention's answer at its size, height x width."""
        if not self.window:
            return self.attn(maps)
        windows, rows, columns = into_windows(maps, self.window)
        return from_windows(self.attn(windows), rows, columns)[:, :height, :width]


def halved(maps: torch.Tensor) -> torch.Tensor:
    """The largest of each 2 x 2 places of [B, H, W, C]."""
    return F.max_pool2d(maps.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)


def into_windows(maps: torch.Tensor, side: int) -> tuple[torch.Tensor, int, int]:
    """A map [B, H, W, C], padded with zeros below and to the right, in squares [B * rows * columns, side, side, C];
    rows; columns."""
    batch, height, width, channels = maps.shape
    rows, columns = -(-height // side), -(-width // side)
    padded = F.pad(maps, (0, 0, 0, columns * side - width, 0, rows * side - height))
    squares = padded.reshape(batch, rows, side, columns, side, channels).transpose(2, 3)
    return squares.reshape(-1, side, side, channels), rows, columns


def from_windows(windows: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Squares [B * rows * columns, side, side, C] back in their places: [B, rows * side, columns * side, C]."""
    side, channels = windows.shape[2:]
    squares = windows.reshape(-1, rows, columns, side, side, channels).transpose(2, 3)
    return squares.reshape(-1, rows * side, columns * side, channels)


class PatchEmbed(nn.Module):
    """Overlapping patches of pictures [B, 3, H, W] to a map [B, H / 4, W / 4, width]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, STRIDE, padding=PATCH // 2)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.proj(pixels).permute(0, 2, 3, 1)


class Hiera(nn.Module):
    """Stages of blocks, each with half the height and width of the one before.

    widths, depths, heads, windows: for each stage its channels, blocks, attention heads, and the side of its windows;
    the first block of a stage, which halves, has windows of the stage before. global_blocks: indices of the blocks
    that attend to the whole map. background: side of the coarse positions, which are stretched over the map.
    """

    def __init__(
        self,
        widths: Sequence[int],
        depths: Sequence[int],
        heads: Sequence[int],
        windows: Sequence[int],
        global_blocks: Sequence[int],
        background: int,
        mlp_ratio: float,
    ) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(widths[0])
        self.pos_embed = nn.Parameter(torch.empty(1, widths[0], background, background))
        self.pos_embed_window = nn.Parameter(torch.empty(1, widths[0], windows[0], windows[0]))
        self.ends = [end - 1 for end in accumulate(depths)]
        stages = [stage for stage, depth in enumerate(depths) for _ in range(depth)]
        before = [0, *stages[:-1]]
        self.blocks = nn.ModuleList(
            Block(
                widths[earlier],
                widths[stage],
                heads[stage],
                mlp_ratio,
                0 if index in global_blocks else windows[earlier],
            )
            for index, (earlier, stage) in enumerate(zip(before, stages, strict=True))
        )

    def forward(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """The last map of each stage, [B, widths[i], H / 2^(i + 2), W / 2^(i + 2)], of pictures [B, 3, H, W]."""
        maps = self.patch_embed(pixels)
        maps = maps + self._positions(maps.shape[1], maps.shape[2])
        found = []
        for index, block in enumerate(self.blocks):
            maps = block(maps)
            if index in self.ends:
                found.append(maps.permute(0, 3, 1, 2))
        return found

    def _positions(self, height: int, width: int) -> torch.Tensor:
        """[1, height, width, C]: the coarse positions stretched, and those within a window repeated."""
        side = self.pos_embed_window.shape[-1]
        coarse = F.interpolate(self.pos_embed, (height, width), mode="bicubic")
        repeated = self.pos_embed_window.tile(1, 1, height // side, width // side)
        return (coarse + repeated).permute(0, 2, 3, 1)
