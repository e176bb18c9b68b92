"""SAM's image encoder: a vision transformer with windows and decomposed relative positions (Li et al. 2022).

No map of all places by all places is kept: scores are made, and used, for some rows of queries at a time.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import torch
import torch.nn.functional as F
from torch import nn

from ..layers import LayerNorm2d

EPS: Final = 1e-6
"""Of all norms, in every SAM."""
BIAS_BYTES: Final = 12 * 2**20
"""What the offsets of the queries that are looked at together may take: what fits a processor's caches."""
DEVICE_BIAS_BYTES: Final = 256 * 2**20
"""The same on other devices, which want much to do at once."""


class Attention(nn.Module):
    """Attention within maps of span x span places. The score of a query and a key has an offset for the difference of
    their rows, and one for that of their columns, each the query's product with a vector for that difference."""

    def __init__(self, width: int, heads: int, span: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.rel_pos_h = nn.Parameter(torch.empty(2 * span - 1, width // heads))
        self.rel_pos_w = nn.Parameter(torch.empty(2 * span - 1, width // heads))

    def forward(self, qkv: torch.Tensor) -> torch.Tensor:
        """What each place reads, before `proj`: [N, h, w, C], of queries, keys and values [N, h, w, 3C]."""
        count, height, width, _ = qkv.shape
        split = qkv.reshape(count, height * width, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = split.unbind(0)
        grid = query.unflatten(2, (height, width))
        by_row = torch.einsum("nahwc,hkc->nahwk", grid, _by_difference(self.rel_pos_h, height)).flatten(2, 3)
        by_column = torch.einsum("nahwc,wkc->nahwk", grid, _by_difference(self.rel_pos_w, width)).flatten(2, 3)
        # Some rows at a time: all offsets of a map of 64 x 64 places take 0.8 GB in a ViT-B.
        at_once = max(1, bias_bytes(qkv.device) // (count * self.heads * height * width * qkv.element_size()))
        seen = torch.empty_like(value)
        for start in range(0, height * width, at_once):
            some = slice(start, start + at_once)
            seen[:, :, some] = F.scaled_dot_product_attention(
                query[:, :, some],
                key,
                value,
                attn_mask=(by_row[:, :, some, :, None] + by_column[:, :, some, None, :]).flatten(3),
            )
        return seen.transpose(1, 2).reshape(count, height, width, -1)


def bias_bytes(device: torch.device) -> int:
    """The most memory for offsets of scores at one time."""
    return BIAS_BYTES if device.type == "cpu" else DEVICE_BIAS_BYTES


def _by_difference(vectors: torch.Tensor, span: int) -> torch.Tensor:
    """The vector of each difference of two positions, [span, span, C], of vectors from -(span - 1) to span - 1."""
    places = torch.arange(span, device=vectors.device)
    return vectors[places[:, None] - places + span - 1]


class Mlp(nn.Module):
    """Two layers on the last axis."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.lin1, self.lin2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, places: torch.Tensor) -> torch.Tensor:
        return self.lin2(F.gelu(self.lin1(places)))


class Block(nn.Module):
    """A transformer block on maps [B, H, W, C]. window: side of the squares within which it attends; 0 for all."""

    def __init__(self, width: int, heads: int, hidden: int, window: int, grid: int) -> None:
        super().__init__()
        self.window = window
        self.norm1 = nn.LayerNorm(width, eps=EPS)
        self.attn = Attention(width, heads, window or grid)
        self.norm2 = nn.LayerNorm(width, eps=EPS)
        self.mlp = Mlp(width, hidden)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        maps = maps + self._attend(self.attn.qkv(self.norm1(maps)))
        return maps + self.mlp(self.norm2(maps))

    def _attend(self, qkv: torch.Tensor) -> torch.Tensor:
        if not self.window:
            return self.attn.proj(self.attn(qkv))
        # What lies beyond the map has zeros after the norm: its query, key and value are the biases.
        windows = into_windows(qkv, self.window, self.attn.qkv.bias)
        return self.attn.proj(from_windows(self.attn(windows), qkv.shape[1], qkv.shape[2]))


def into_windows(maps: torch.Tensor, side: int, beyond: torch.Tensor) -> torch.Tensor:
    """Maps [B, H, W, C] in squares [B * rows * columns, side, side, C], filled up below and to the right with
    `beyond` [C]."""
    batch, height, width, channels = maps.shape
    rows, columns = -(-height // side), -(-width // side)
    if (rows * side, columns * side) != (height, width):
        filled = beyond.expand(batch, rows * side, columns * side, channels).clone()
        filled[:, :height, :width] = maps
        maps = filled
    squares = maps.reshape(batch, rows, side, columns, side, channels).transpose(2, 3)
    return squares.reshape(-1, side, side, channels)


def from_windows(windows: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """The opposite, without what lies beyond."""
    side, channels = windows.shape[2:]
    rows, columns = -(-height // side), -(-width // side)
    squares = windows.reshape(-1, rows, columns, side, side, channels).transpose(2, 3)
    return squares.reshape(-1, rows * side, columns * side, channels)[:, :height, :width]


class PatchEmbed(nn.Module):
    """Patches of pictures [B, 3, H, W] to maps [B, H / patch, W / patch, C]."""

    def __init__(self, patch: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.proj(pixels).permute(0, 2, 3, 1)


def neck(inputs: int, outputs: int) -> nn.Sequential:
    """What makes an encoder's maps those that the decoder reads."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, bias=False),
        LayerNorm2d(outputs),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        LayerNorm2d(outputs),
    )


class VisionTransformer(nn.Module):
    """Pictures [B, 3, S, S] to maps [B, outputs, S / patch, S / patch].

    global_blocks: indices of the blocks that attend to the whole map; the others do within windows.
    """

    def __init__(
        self,
        image_size: int,
        patch: int,
        width: int,
        depth: int,
        heads: int,
        hidden: int,
        window: int,
        global_blocks: Collection[int],
        outputs: int,
    ) -> None:
        super().__init__()
        grid = image_size // patch
        self.patch, self.grid, self.window = patch, grid, window
        self.hidden, self.heads, self.width = hidden, heads, width
        self.early = min(global_blocks, default=0)
        self.patch_embed = PatchEmbed(patch, width)
        self.pos_embed = nn.Parameter(torch.empty(1, grid, grid, width))
        self.blocks = nn.ModuleList(
            Block(width, heads, hidden, 0 if index in global_blocks else window, grid) for index in range(depth)
        )
        self.neck = neck(width, outputs)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.with_early(pixels)[0]

    def with_early(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The maps, and those [B, width, S / patch, S / patch] after the first block that sees the whole picture."""
        maps = self.patch_embed(pixels) + self.pos_embed
        early = maps
        for index, block in enumerate(self.blocks):
            maps = block(maps)
            if index == self.early:
                early = maps
        return self.neck(maps.permute(0, 3, 1, 2)), early.permute(0, 3, 1, 2)

    def peak_bytes(self, batch_size: int) -> int:
        """Activation memory, with the pictures'. The peak is reached in an MLP, where windows are cut, or in attention
        to the whole map: there are two offsets for each place and row or column, and their sums for some queries."""
        parameter = self.pos_embed
        size, cells = parameter.element_size(), batch_size * self.grid**2
        mlp = 3 * self.width + 2 * self.hidden
        padded = (-(-self.grid // self.window) * self.window / self.grid) ** 2
        windows = round((5 + 6 * padded) * self.width)
        offsets = min(bias_bytes(parameter.device), cells * self.heads * self.grid**2 * size)
        attention = 6 * self.width + 2 * self.heads * self.grid + offsets // (cells * size)
        return cells * size * (3 * self.patch**2 + max(mlp, windows, attention))
