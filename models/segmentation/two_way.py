"""SAM's two-way transformer (Kirillov et al. 2023, appendix A): a few tokens and an image that attend to each other.

The tokens are few, and in the first layer the image is the same for all prompts. So most of the projections of the
image are folded into the tokens, which gives the same numbers up to rounding with half of the products.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    """Attention in `width / downsample` channels, in `heads` heads."""

    def __init__(self, width: int, heads: int, downsample: int = 1) -> None:
        super().__init__()
        inner = width // downsample
        self.heads, self.inner = heads, inner
        self.scale = (inner // heads) ** -0.5
        self.q_proj = nn.Linear(width, inner)
        self.k_proj = nn.Linear(width, inner)
        self.v_proj = nn.Linear(width, inner)
        self.out_proj = nn.Linear(inner, width)

    def forward(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """What queries [N, Q, C] read of keys and values [N, K, C]: [N, Q, C]."""
        asked, known, told = self.q_proj(query), self.k_proj(key), self.v_proj(value)
        seen = F.scaled_dot_product_attention(self._by_head(asked), self._by_head(known), self._by_head(told))
        return self.out_proj(seen.transpose(1, 2).flatten(2))

    def of_image(self, tokens: torch.Tensor, placed: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """What tokens [N, T, C] read of an image, [N, T, C]; the image, with its positions and without, is
        [N, S, C], or [1, S, C] where it is the same for all."""
        count, number, _ = tokens.shape
        if len(image) * self.inner <= count * number * self.heads:
            # All tokens are queries of the one image, or of their own.
            queries = tokens if len(image) == count else tokens.flatten(0, 1)[None]
            return self(queries, placed, image).reshape(tokens.shape)
        asked, _ = self._folded(self._by_head(self.q_proj(tokens)), self.k_proj)
        shares = (asked * self.scale @ placed.transpose(1, 2)).softmax(dim=-1)
        seen = (shares @ image).unflatten(1, (self.heads, number))
        weight = self.v_proj.weight.unflatten(0, (self.heads, -1))
        values = torch.einsum("nhtc,hdc->nthd", seen, weight).flatten(2) + self.v_proj.bias
        return self.out_proj(values)

    def into_image(
        self, image: torch.Tensor, placed: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> torch.Tensor:
        """The image [1 or N, S, C] and what its places read of tokens [N, T, C]: [N, S, C]."""
        count, number, width = keys.shape
        if self.heads * number > self.inner:
            return image + self(placed.expand(count, -1, -1), keys, values)
        key = self._by_head(self.k_proj(keys))
        # Scores are [N, heads, T, S]: a softmax over so few is quick where the places lie side by side.
        if len(placed) < count:
            query = self._by_head(self.q_proj(placed))[0]
            scores = key.permute(1, 0, 2, 3).flatten(1, 2) @ query.transpose(1, 2)
            scores = scores.unflatten(1, (count, number)).transpose(0, 1)
        else:
            answers, offsets = self._folded(key, self.q_proj)
            scores = torch.baddbmm(offsets[..., None], answers, placed.transpose(1, 2))
            scores = scores.unflatten(1, (self.heads, number))
        shares = scores.mul_(self.scale).softmax(dim=2).flatten(1, 2)
        weight = self.out_proj.weight.unflatten(1, (self.heads, -1))
        told = torch.einsum("nhtd,chd->nhtc", self._by_head(self.v_proj(values)), weight)
        # The shares of each head add up to 1, so that the bias comes in once with the first one's.
        told = torch.cat([told[:, :1] + self.out_proj.bias, told[:, 1:]], dim=1).flatten(1, 2)
        return torch.baddbmm(image.expand(count, -1, width), shares.transpose(1, 2), told)

    def _folded(self, tokens: torch.Tensor, projection: nn.Linear) -> tuple[torch.Tensor, torch.Tensor]:
        """For products of tokens [N, heads, T, d] with projected places: vectors [N, heads * T, C] and offsets
        [N, heads * T] that give the same with the places themselves."""
        weight = projection.weight.unflatten(0, (self.heads, -1))
        offsets = torch.einsum("nhtd,hd->nht", tokens, projection.bias.unflatten(0, (self.heads, -1)))
        return torch.einsum("nhtd,hdc->nhtc", tokens, weight).flatten(1, 2), offsets.flatten(1)

    def _by_head(self, values: torch.Tensor) -> torch.Tensor:
        """[N, K, heads * d] as [N, heads, K, d]."""
        return values.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Mlp(nn.Module):
    """Two layers on the last axis."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.lin1, self.lin2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.lin2(F.relu(self.lin1(tokens)))


class Layer(nn.Module):
    """Tokens look at each other, then at the image; then the image looks at them. first: without their positions in
    the first step, since they are the positions then."""

    def __init__(self, width: int, heads: int, hidden: int, downsample: int, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attn = Attention(width, heads)
        self.norm1 = nn.LayerNorm(width)
        self.cross_attn_token_to_image = Attention(width, heads, downsample)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, hidden)
        self.norm3 = nn.LayerNorm(width)
        self.norm4 = nn.LayerNorm(width)
        self.cross_attn_image_to_token = Attention(width, heads, downsample)

    def forward(
        self, tokens: torch.Tensor, asked: torch.Tensor, image: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.first:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            placed = tokens + asked
            tokens = tokens + self.self_attn(placed, placed, tokens)
        tokens = self.norm1(tokens)
        there = image + positions
        tokens = self.norm2(tokens + self.cross_attn_token_to_image.of_image(tokens + asked, there, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.cross_attn_image_to_token.into_image(image, there, tokens + asked, tokens)
        return tokens, self.norm4(image)


class TwoWayTransformer(nn.Module):
    """`depth` layers, and a last look of the tokens at the image."""

    def __init__(self, depth: int, width: int, heads: int, hidden: int, downsample: int) -> None:
        super().__init__()
        self.width = width
        self.layers = nn.ModuleList(Layer(width, heads, hidden, downsample, index == 0) for index in range(depth))
        self.final_attn_token_to_image = Attention(width, heads, downsample)
        self.norm_final_attn = nn.LayerNorm(width)

    def forward(
        self, image: torch.Tensor, positions: torch.Tensor, tokens: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens [N, T, C] and an image [N, S, C], or [1, S, C] where it is the same for all of them, with positions
        [1, S, C], to what both know in the end: [N, T, C], [N, S, C]."""
        known = tokens
        for layer in self.layers:
            known, image = layer(known, tokens, image, positions)
        last = self.final_attn_token_to_image.of_image(known + tokens, image + positions, image)
        return self.norm_final_attn(known + last), image
