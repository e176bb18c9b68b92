"""Networks of latent diffusion (Rombach et al., 2022, arXiv 2112.10752) in the layout of CompVis: the U-Net that sees a
condition, and the transformer that reads texts (x-transformers' encoder)."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..adm.network import GROUPS
from ..context_unet import ContextUNet

TEXT_HEADS: Final = 8
"""Of the transformer that reads texts, whatever its width; shapes do not tell it."""


class LdmUNet(ContextUNet):
    """Foresees the noise of latents; sees a class or a text, if anything."""

    def _seeing(self, width: int) -> nn.Module:
        return SpatialTransformer(width, self.sizes.heads_of(width), self.context)


class CrossAttention(nn.Module):
    """Of tokens to a context, or to themselves."""

    def __init__(self, width: int, context: int, heads: int, inner: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_k = nn.Linear(context, inner, bias=False)
        self.to_v = nn.Linear(context, inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, width))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """[N, T, width] and [N, L, context]."""
        return self.to_out(attended(self.to_q(x), self.to_k(context), self.to_v(context), self.heads))


def attended(queries: Tensor, keys: Tensor, values: Tensor, heads: int) -> Tensor:
    """[N, T, inner] of [N, T, inner] and twice [N, L, inner]."""
    queries, keys, values = (each.unflatten(2, (heads, -1)).transpose(1, 2) for each in (queries, keys, values))
    return F.scaled_dot_product_attention(queries, keys, values).transpose(1, 2).flatten(2)


class _Gated(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, 2 * inner)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)


class _FeedForward(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(_Gated(width, 4 * width), nn.Identity(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class _TransformerBlock(nn.Module):
    def __init__(self, width: int, heads: int, context: int) -> None:
        super().__init__()
        self.attn1 = CrossAttention(width, width, heads, width)
        self.ff = _FeedForward(width)
        self.attn2 = CrossAttention(width, context, heads, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        normed = self.norm1(x)
        x = x + self.attn1(normed, normed)
        x = x + self.attn2(self.norm2(x), seen)
        return x + self.ff(self.norm3(x))


class SpatialTransformer(nn.Module):
    """A transformer block over the places of a map, which sees a context."""

    def __init__(self, width: int, heads: int, context: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, width, eps=1e-6)
        self.proj_in = nn.Conv2d(width, width, 1)
        self.transformer_blocks = nn.ModuleList([_TransformerBlock(width, heads, context)])
        self.proj_out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """[N, width, h, w] and [N, L, context]."""
        given = self.proj_in(self.norm(x))
        tokens = given.flatten(2).transpose(1, 2)
        for block in self.transformer_blocks:
            tokens = block(tokens, seen)
        return x + self.proj_out(tokens.transpose(1, 2).reshape(given.shape))


class TextSizes(NamedTuple):
    """Of the transformer that reads texts. inner: width of its attention."""

    pieces: int
    length: int
    width: int
    blocks: int
    inner: int


class TextEncoder(nn.Module):
    """Texts of pieces, padding too, each of which sees all others."""

    def __init__(self, sizes: TextSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.token_emb = nn.Embedding(sizes.pieces, sizes.width)
        self.pos_emb = nn.ModuleDict({"emb": nn.Embedding(sizes.length, sizes.width)})
        layers = [
            layer for _ in range(sizes.blocks) for layer in (_TextAttention(sizes), _TextFeedForward(sizes.width))
        ]
        pairs = nn.ModuleList(nn.ModuleList([nn.LayerNorm(sizes.width), layer]) for layer in layers)
        self.attn_layers = nn.ModuleDict({"layers": pairs})
        self.norm = nn.LayerNorm(sizes.width)

    def forward(self, pieces: Tensor) -> Tensor:
        """int64 [N, L] to [N, L, width]."""
        x = self.token_emb(pieces) + self.get_submodule("pos_emb.emb").weight
        for norm, layer in cast("Any", self.attn_layers["layers"]):
            x = x + layer(norm(x))
        return self.norm(x)


class _TextAttention(nn.Module):
    def __init__(self, sizes: TextSizes) -> None:
        super().__init__()
        self.to_q = nn.Linear(sizes.width, sizes.inner, bias=False)
        self.to_k = nn.Linear(sizes.width, sizes.inner, bias=False)
        self.to_v = nn.Linear(sizes.width, sizes.inner, bias=False)
        self.to_out = nn.Linear(sizes.inner, sizes.width)

    def forward(self, x: Tensor) -> Tensor:
        return self.to_out(attended(self.to_q(x), self.to_k(x), self.to_v(x), TEXT_HEADS))


class _TextFeedForward(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Sequential(nn.Linear(width, 4 * width), nn.GELU()), nn.Identity(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class ClassEncoder(nn.Module):
    """A vector for each class, seen as the only token."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, width)

    def forward(self, labels: Tensor) -> Tensor:
        """int64 [N] to [N, 1, width]."""
        return self.embedding(labels)[:, None]


def text_sizes(tensors: dict[str, torch.Tensor]) -> TextSizes:
    """What shapes tell."""
    pieces, width = tensors["token_emb.weight"].shape
    layers = {name.split(".")[2] for name in tensors if name.startswith("attn_layers.layers.")}
    inner = tensors["attn_layers.layers.0.1.to_q.weight"].shape[0]
    return TextSizes(pieces, tensors["pos_emb.emb.weight"].shape[0], width, len(layers) // 2, inner)
