"""The transformer of DiT (Peebles and Xie, 2023, arXiv 2212.09748), with adaLN-Zero, in the layout of its authors."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FREQUENCIES: Final = 256
"""Numbers that a time is embedded by before the network sees it."""
LONGEST: Final = 10_000.0
EPSILON: Final = 1e-6


class Sizes(NamedTuple):
    """side, channels: of the latents. rows: of the table of classes, with the one for none. outputs: channels."""

    side: int
    channels: int
    patch: int
    width: int
    depth: int
    heads: int
    rows: int
    outputs: int
    hidden: int

    @property
    def tokens(self) -> int:
        return (self.side // self.patch) ** 2


class _TimeEmbedder(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, time: Tensor) -> Tensor:
        """[N] to [N, width]."""
        half = FREQUENCIES // 2
        frequencies = torch.exp(
            torch.arange(half, dtype=torch.float32, device=time.device) * (-math.log(LONGEST) / half)
        )
        angles = time.float()[:, None] * frequencies
        return self.mlp(torch.cat([angles.cos(), angles.sin()], dim=1).to(next(self.parameters()).dtype))


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[N, T, width]."""
        queries, keys, values = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        return self.proj(F.scaled_dot_product_attention(queries, keys, values).transpose(1, 2).flatten(2))


class _FeedForward(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


def _modulation(width: int, parts: int) -> nn.Sequential:
    return nn.Sequential(nn.SiLU(), nn.Linear(width, parts * width))


def _modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """[N, T, width], normalised over the width, then moved and scaled by [N, 1, width]."""
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:], eps=EPSILON), 1 + scale)


class _Block(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.attn = _Attention(sizes.width, sizes.heads)
        self.mlp = _FeedForward(sizes.width, sizes.hidden)
        self.adaLN_modulation = _modulation(sizes.width, 6)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """[N, T, width] and [N, width]."""
        told = self.adaLN_modulation(seen)[:, None].chunk(6, dim=2)
        x = torch.addcmul(x, told[2], self.attn(_modulated(x, told[0], told[1])))
        return torch.addcmul(x, told[5], self.mlp(_modulated(x, told[3], told[4])))


class _FinalLayer(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.linear = nn.Linear(sizes.width, sizes.patch**2 * sizes.outputs)
        self.adaLN_modulation = _modulation(sizes.width, 2)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        return self.linear(_modulated(x, *self.adaLN_modulation(seen)[:, None].chunk(2, dim=2)))


class DiT(nn.Module):
    """Foresees the noise of latents of one size and, where it was trained to, how much of two variances there is."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.x_embedder = nn.ModuleDict(
            {"proj": nn.Conv2d(sizes.channels, sizes.width, sizes.patch, stride=sizes.patch)}
        )
        self.t_embedder = _TimeEmbedder(sizes.width)
        self.y_embedder = nn.ModuleDict({"embedding_table": nn.Embedding(sizes.rows, sizes.width)})
        self.pos_embed = nn.Parameter(torch.zeros(1, sizes.tokens, sizes.width))
        self.blocks = nn.ModuleList(_Block(sizes) for _ in range(sizes.depth))
        self.final_layer = _FinalLayer(sizes)

    def forward(self, latents: Tensor, time: Tensor, labels: Tensor) -> Tensor:
        """[N, outputs, side, side] of latents [N, channels, side, side], times [N] and labels int64 [N]."""
        x = self.x_embedder["proj"](latents).flatten(2).transpose(1, 2) + self.pos_embed
        seen = self.t_embedder(time) + self.y_embedder["embedding_table"](labels)
        for block in self.blocks:
            x = block(x, seen)
        patch, cells = self.sizes.patch, latents.shape[2] // self.sizes.patch
        pieces = self.final_layer(x, seen).reshape(len(x), cells, cells, patch, patch, self.sizes.outputs)
        return pieces.permute(0, 5, 1, 3, 2, 4).reshape(len(x), self.sizes.outputs, *latents.shape[2:])
