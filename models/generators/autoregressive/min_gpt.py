"""The transformer that taming-transformers and minDALL-E use: GPT-2's blocks (Radford 2019) in minGPT's layout."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import nn


class KeysAndValues(NamedTuple):
    """What the blocks remember of the places so far, [layers, N, heads, places, size] each."""

    keys: torch.Tensor
    values: torch.Tensor

    @classmethod
    def empty(cls, embedding: torch.Tensor, layers: int, count: int, heads: int, places: int) -> KeysAndValues:
        """Room for `places` tokens of `count` samples. embedding: of tokens, [..., width], on the same device."""
        shape = (layers, count, heads, places, embedding.shape[-1] // heads)
        return cls(embedding.new_empty(shape), embedding.new_empty(shape))


class Attention(nn.Module):
    """Of each token to itself and those before it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.key = nn.Linear(width, width)
        self.query = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """[N, T, width] to the same."""
        return self._seen(*(self._by_head(part(tokens)) for part in (self.query, self.key, self.value)))

    def first(self, tokens: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """As `forward`; what is remembered of the tokens is written into `keys` and `values`, see `next`."""
        query, key, value = (self._by_head(part(tokens)) for part in (self.query, self.key, self.value))
        keys[:, :, : key.shape[2]], values[:, :, : value.shape[2]] = key, value
        return self._seen(query, key, value)

    def _seen(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.proj(seen.transpose(1, 2).flatten(2))

    def next(self, token: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, place: int) -> torch.Tensor:
        """token: [N, 1, width], at `place`. keys, values: [N, heads, places, size], known up to it; one is added."""
        query = self._by_head(self.query(token))
        keys[:, :, place : place + 1] = self._by_head(self.key(token))
        values[:, :, place : place + 1] = self._by_head(self.value(token))
        known = slice(place + 1)
        seen = F.scaled_dot_product_attention(query, keys[:, :, known], values[:, :, known])
        return self.proj(seen.transpose(1, 2).flatten(2))

    def _by_head(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Block(nn.Module):
    """Attention and two dense layers, each after a norm and added to what was there."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = tokens + self.attn(self.ln1(tokens))
        return tokens + self.mlp(self.ln2(tokens))

    def first(self, tokens: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """See `Attention.first`."""
        tokens = tokens + self.attn.first(self.ln1(tokens), keys, values)
        return tokens + self.mlp(self.ln2(tokens))

    def next(self, token: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, place: int) -> torch.Tensor:
        """See `Attention.next`."""
        token = token + self.attn.next(self.ln1(token), keys, values, place)
        return token + self.mlp(self.ln2(token))


def first_tokens(blocks: nn.ModuleList, tokens: torch.Tensor, cache: KeysAndValues) -> torch.Tensor:
    """What comes out of all blocks for the first tokens [N, T, width]; the empty cache then holds them."""
    for block, keys, values in zip(blocks, *cache, strict=True):
        tokens = cast("Block", block).first(tokens, keys, values)
    return tokens


def next_token(blocks: nn.ModuleList, token: torch.Tensor, cache: KeysAndValues, place: int) -> torch.Tensor:
    """What comes out of all blocks for one more token [N, 1, width]; the cache grows by it."""
    for block, keys, values in zip(blocks, *cache, strict=True):
        token = cast("Block", block).next(token, keys, values, place)
    return token
