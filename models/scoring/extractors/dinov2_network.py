"""DINOv2's vision transformer (Oquab et al. 2023; with registers: Darcet et al. 2023), as it describes a whole picture.

Names are those of Meta's published state dicts.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

HEAD_SIZE: Final = 64
"""Of all published ones; it cannot be detected."""
EPSILON: Final = 1e-6
OFFSET: Final = 0.1
"""Meta's code asks for so much of a position more than there are, against rounding, and resamples by that scale."""


class Sizes(NamedTuple):
    """width: features of a token. depth: blocks. patch: its side in pixels. grid: positions along a side.
    registers: tokens beside those of the picture. hidden: of an MLP. gated: by SwiGLU, else GELU."""

    width: int
    depth: int
    patch: int
    grid: int
    registers: int
    hidden: int
    gated: bool


class Attention(nn.Module):
    """Of all tokens to all."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self._heads = width // HEAD_SIZE

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # [N, T, 3 D] -> 3 of [N, heads, T, HEAD_SIZE]
        query, key, value = self.qkv(x).unflatten(2, (3, self._heads, HEAD_SIZE)).permute(2, 0, 3, 1, 4).unbind(0)
        return self.proj(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """Two layers with GELU between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class SwiGLU(nn.Module):
    """Two layers, the first of which is gated (Shazeer 2020): ViT-g's."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.w12 = nn.Linear(width, 2 * hidden)
        self.w3 = nn.Linear(hidden, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate, values = self.w12(x).chunk(2, dim=-1)
        return self.w3(F.silu(gate) * values)


class LayerScale(nn.Module):
    """A factor for each feature (Touvron et al. 2021)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.empty(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gamma


class Block(nn.Module):
    """Attention and an MLP, each behind its norm."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(sizes.width, eps=EPSILON)
        self.attn = Attention(sizes.width)
        self.ls1 = LayerScale(sizes.width)
        self.norm2 = nn.LayerNorm(sizes.width, eps=EPSILON)
        self.mlp = (SwiGLU if sizes.gated else MLP)(sizes.width, sizes.hidden)
        self.ls2 = LayerScale(sizes.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class PatchEmbed(nn.Module):
    """Squares of pixels to tokens."""

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class DINOv2(nn.Module):
    """The whole network."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.cls_token = nn.Parameter(torch.empty(1, 1, sizes.width))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + sizes.grid**2, sizes.width))
        if sizes.registers:
            self.register_tokens = nn.Parameter(torch.empty(1, sizes.registers, sizes.width))
        self.patch_embed = PatchEmbed(sizes.width, sizes.patch)
        self.blocks = nn.ModuleList(Block(sizes) for _ in range(sizes.depth))
        self.norm = nn.LayerNorm(sizes.width, eps=EPSILON)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The class token behind the last norm, [N, D], of pictures [N, 3, S, S], normalised; S is a multiple of the
        patch's side."""
        count, side = len(x), x.shape[-1] // self.sizes.patch
        x = torch.cat([self.cls_token.expand(count, -1, -1), self.patch_embed(x)], dim=1) + self.positions(side)
        if self.sizes.registers:
            x = torch.cat([x[:, :1], self.register_tokens.expand(count, -1, -1), x[:, 1:]], dim=1)
        for block in self.blocks:
            x = block(x)
        return self.norm(x[:, 0])

    def positions(self, side: int) -> torch.Tensor:
        """What is added to the class token and to side x side patches, [1, 1 + side * side, D].

        Resampled as by Meta's code: bicubic; without registers by a scale that is OFFSET larger and without
        antialiasing, with registers to the size alone and with it.
        """
        grid = self.sizes.grid
        if side == grid:
            return self.pos_embed
        own, patches = self.pos_embed[:, :1], self.pos_embed[:, 1:].unflatten(1, (grid, grid)).movedim(-1, 1)
        if self.sizes.registers:
            found = F.interpolate(patches, (side, side), mode="bicubic", antialias=True)
        else:
            found = F.interpolate(patches, scale_factor=(side + OFFSET) / grid, mode="bicubic")
        return torch.cat([own, found.flatten(2).transpose(1, 2)], dim=1)
