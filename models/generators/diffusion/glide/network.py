"""GLIDE's network: the U-Net of guided diffusion, which also attends to a text (Nichol et al., 2021, arXiv 2112.10741).

The transformer that reads the text is a part of it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..adm.network import GROUPS, Sizes
from ..context_unet import ContextUNet
from .words import PIECES, Tokens


class TextSizes(NamedTuple):
    """Of the transformer. length: of texts, in pieces. heads: which shapes do not tell."""

    length: int
    width: int
    layers: int
    heads: int


class Read(NamedTuple):
    """Texts as the U-Net takes them. told: [N, 4 channels], added to the embedded time. seen: [N, L, width]."""

    told: Tensor
    seen: Tensor


class TextAttention(nn.Module):
    """To a text and to all places, in the same softmax."""

    def __init__(self, width: int, heads: int, context: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(GROUPS, width)
        self.qkv = nn.Conv1d(width, 3 * width, 1)
        self.encoder_kv = nn.Conv1d(context, 2 * width, 1)
        self.proj_out = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """[N, width, h, w] and [N, L, context]."""
        count, width, *sides = x.shape
        places = F.linear(self.norm(x).flatten(2).transpose(1, 2), self.qkv.weight[:, :, 0], self.qkv.bias)
        queries, keys, values = self._by_head(places, 3)
        before = self._by_head(F.linear(seen, self.encoder_kv.weight[:, :, 0], self.encoder_kv.bias), 2)
        keys, values = torch.cat([before[0], keys], dim=2), torch.cat([before[1], values], dim=2)
        attended = F.scaled_dot_product_attention(queries, keys, values).transpose(1, 2).flatten(2)
        made = F.linear(attended, self.proj_out.weight[:, :, 0], self.proj_out.bias)
        return x + made.transpose(1, 2).reshape(count, width, *sides)

    def _by_head(self, values: Tensor, parts: int) -> tuple[Tensor, ...]:
        """[N, T, parts x width], each head's parts side by side, as so many of [N, heads, T, width / heads]."""
        return values.unflatten(2, (self.heads, parts, -1)).permute(3, 0, 2, 1, 4).unbind(0)


class _SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_qkv = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Of every piece to every other, padding too."""
        queries, keys, values = self.c_qkv(x).unflatten(2, (self.heads, 3, -1)).permute(3, 0, 2, 1, 4).unbind(0)
        return self.c_proj(F.scaled_dot_product_attention(queries, keys, values).transpose(1, 2).flatten(2))


class _FeedForward(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(F.gelu(self.c_fc(x)))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn = _SelfAttention(width, heads)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = _FeedForward(width)
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class _Transformer(nn.Module):
    def __init__(self, sizes: TextSizes) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(_Block(sizes.width, sizes.heads) for _ in range(sizes.layers))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.resblocks:
            x = block(x)
        return x


class GlideNetwork(ContextUNet):
    """A base model, which sees noisy pictures [N, 3, h, w]; an inpainting one sees beside them what is known and where,
    and an upsampler a small picture of the same sides. It gives noise and variances, [N, 6, h, w]."""

    def __init__(self, sizes: Sizes, text: TextSizes) -> None:
        super().__init__(sizes, text.width)
        self.text = text
        self.positional_embedding = nn.Parameter(torch.zeros(text.length, text.width))
        self.padding_embedding = nn.Parameter(torch.zeros(text.length, text.width))
        self.transformer = _Transformer(text)
        self.final_ln = nn.LayerNorm(text.width)
        self.token_embedding = nn.Embedding(PIECES, text.width)
        self.transformer_proj = nn.Linear(text.width, 4 * sizes.channels)

    def _seeing(self, width: int) -> nn.Module:
        return TextAttention(width, self.sizes.heads_of(width), self.context)

    def read(self, tokens: Tokens) -> Read:
        """Texts of the length that it was made for. The last place, mostly one of padding, stands for the whole."""
        device = self.positional_embedding.device
        there = tokens.there.to(device)[:, :, None]
        embedded = self.token_embedding(tokens.numbers.to(device)) + self.positional_embedding
        seen = self.final_ln(self.transformer(torch.where(there, embedded, self.padding_embedding)))
        return Read(self.transformer_proj(seen[:, -1]), seen)
