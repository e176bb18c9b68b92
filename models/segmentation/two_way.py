"""SAM's two-way transformer (Kirillov et al. 2023, appendix A): a few tokens and an image that attend to each other.

The tokens are few, and in the first layer the image is the same for all prompts. So most of the projections of the
image are folded into the tokens, which gives the same numbers up to rounding with half of the products.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import nn

PLACES_BYTES: Final = 8 * 2**20
"""What the images of the prompts that are answered together may take: two prompts' of a published SAM. Larger tensors
come fresh from the system each time, and leave a processor's caches."""
DEVICE_PLACES_BYTES: Final = 2**30
"""The same on other devices, which want much to do at once."""


def prompts_at_once(places: int, width: int, device: torch.device) -> int:
    """As many as are answered together, each with an image of so many places, float32."""
    size = PLACES_BYTES if device.type == "cpu" else DEVICE_PLACES_BYTES
    return max(1, size // (4 * places * width))


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
        return self._read(self.q_proj(query), self.k_proj(key), self.v_proj(value))

    def of_image(
        self,
        tokens: torch.Tensor,
        placed: Sequence[torch.Tensor],
        image: torch.Tensor,
        known: tuple[torch.Tensor, torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """What tokens [N, T, C] read of an image, [N, T, C]; the image is [N, S, C], or [1, S, C] where it is the same
        for all. placed: what adds up to the image with its positions. known: its projections as keys and values,
        [1, S, inner] each."""
        number = tokens.shape[1]
        if known is not None:
            # All tokens are queries of the one image.
            return self._read(self.q_proj(tokens).flatten(0, 1)[None], *known).reshape(tokens.shape)
        if self.inner <= number * self.heads:
            count, keys = len(tokens), sum(placed[1:], placed[0])
            return self(tokens, keys.expand(count, -1, -1), image.expand(count, -1, -1))
        asked, _ = self._folded(self._by_head(self.q_proj(tokens) * self.scale), self.k_proj)
        scores = asked @ placed[0].transpose(1, 2)
        for part in placed[1:]:
            scores = scores + asked @ part.transpose(1, 2)
        shares = scores.softmax(dim=-1)
        seen = (shares @ image).unflatten(1, (number, self.heads))
        weight = self.v_proj.weight.unflatten(0, (self.heads, -1))
        values = torch.einsum("nthc,hdc->nthd", seen, weight).flatten(2) + self.v_proj.bias
        return self.out_proj(values)

    def into_image(
        self,
        image: torch.Tensor,
        placed: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        asked: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The image [1 or N, S, C] and what its places read of tokens [N, T, C]: [N, S, C]. asked: where the image is
        the same for all, the projection of its places as queries, [1, S, inner]."""
        count, number, width = keys.shape
        if self.heads * number > self.inner:
            query = self.q_proj(placed) if asked is None else asked
            return image + self._read(query.expand(count, -1, -1), self.k_proj(keys), self.v_proj(values))
        key = self._by_head(self.k_proj(keys) * self.scale)
        if asked is None:
            answers, offsets = self._folded(key, self.q_proj)
            scores = torch.baddbmm(offsets[:, None], placed.expand(count, -1, -1), answers.transpose(1, 2))
        else:
            # One product for all heads, each with zeros for the channels of the others.
            own = torch.eye(self.heads, dtype=key.dtype, device=key.device)
            apart = torch.einsum("nhtd,hg->nhdtg", key, own).flatten(3).flatten(1, 2)
            scores = asked.expand(count, -1, -1) @ apart
        # [N, S, T, heads]: a softmax over so few is quick where the heads lie side by side.
        shares = scores.unflatten(2, (number, self.heads)).softmax(dim=2).flatten(2)
        weight = self.out_proj.weight.unflatten(1, (self.heads, -1))
        told = torch.einsum("nhtd,chd->nthc", self._by_head(self.v_proj(values)), weight)
        # The shares of each head add up to 1, so that the bias comes in once with the first one's.
        told = torch.cat([told[:, :, :1] + self.out_proj.bias, told[:, :, 1:]], dim=2).flatten(1, 2)
        return torch.baddbmm(image.expand(count, -1, width), shares, told)

    def _read(self, asked: torch.Tensor, known: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        """What projected queries [N, Q, inner] read of projected keys and values [N, K, inner]: [N, Q, C]."""
        seen = F.scaled_dot_product_attention(self._by_head(asked), self._by_head(known), self._by_head(told))
        return self.out_proj(seen.transpose(1, 2).flatten(2))

    def _folded(self, tokens: torch.Tensor, projection: nn.Linear) -> tuple[torch.Tensor, torch.Tensor]:
        """For products of tokens [N, heads, T, d] with projected places: vectors [N, T * heads, C] and offsets
        [N, T * heads] that give the same with the places themselves."""
        weight = projection.weight.unflatten(0, (self.heads, -1))
        offsets = torch.einsum("nhtd,hd->nth", tokens, projection.bias.unflatten(0, (self.heads, -1)))
        return torch.einsum("nhtd,hdc->nthc", tokens, weight).flatten(1, 2), offsets.flatten(1)

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


class Shared(NamedTuple):
    """What the first layer knows of an image that is the same for all prompts, [1, S, inner] each: keys and values that
    tokens read, and queries of its places."""

    keys: torch.Tensor
    values: torch.Tensor
    queries: torch.Tensor


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

    def shared(self, image: torch.Tensor, positions: torch.Tensor) -> Shared:
        """Of an image [1, S, C]."""
        placed = image + positions
        reads, asks = self.cross_attn_token_to_image, self.cross_attn_image_to_token
        return Shared(reads.k_proj(placed), reads.v_proj(image), asks.q_proj(placed))

    def forward(
        self,
        tokens: torch.Tensor,
        asked: torch.Tensor,
        image: torch.Tensor,
        positions: torch.Tensor,
        shared: Shared | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.first:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            placed = tokens + asked
            tokens = tokens + self.self_attn(placed, placed, tokens)
        tokens = self.norm1(tokens)
        known, queries = (None, None) if shared is None else (shared[:2], shared.queries)
        # Where the projections are known, nobody reads the places themselves.
        there = image if shared is not None else image + positions
        tokens = self.norm2(tokens + self.cross_attn_token_to_image.of_image(tokens + asked, [there], image, known))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.cross_attn_image_to_token.into_image(image, there, tokens + asked, tokens, queries)
        return tokens, self.norm4(image)


class TwoWayTransformer(nn.Module):
    """`depth` layers, and a last look of the tokens at the image."""

    def __init__(self, depth: int, width: int, heads: int, hidden: int, downsample: int) -> None:
        super().__init__()
        self.width = width
        self.layers = nn.ModuleList(Layer(width, heads, hidden, downsample, index == 0) for index in range(depth))
        self.final_attn_token_to_image = Attention(width, heads, downsample)
        self.norm_final_attn = nn.LayerNorm(width)

    def in_turns(
        self, image: torch.Tensor, positions: torch.Tensor, tokens: torch.Tensor, answers: int
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """`forward` for a few prompts after another: those whose images together fit a processor's caches. What they
        share is made once."""
        attention = self.final_attn_token_to_image
        shared = None
        if len(image) == 1 and attention.inner <= attention.heads * tokens[..., 0].numel():
            shared = cast("Layer", self.layers[0]).shared(image, positions)
        few = prompts_at_once(image.shape[1], image.shape[2], image.device)
        for start in range(0, len(tokens), few):
            some = slice(start, start + few)
            yield self(image if len(image) == 1 else image[some], positions, tokens[some], answers, shared)

    def forward(
        self,
        image: torch.Tensor,
        positions: torch.Tensor,
        tokens: torch.Tensor,
        answers: int,
        shared: Shared | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens [N, T, C] and an image [N, S, C], or [1, S, C] where it is the same for all of them, with positions
        [1, S, C], to what both know in the end: the first tokens, [N, answers, C], for which alone it is asked, and
        [N, S, C]. shared: the first layer's, of the one image."""
        known = tokens
        for layer in self.layers:
            known, image = layer(known, tokens, image, positions, shared if layer.first else None)
        known, tokens = known[:, :answers], tokens[:, :answers]
        # So few tokens multiply both sooner than both are added up.
        last = self.final_attn_token_to_image.of_image(known + tokens, [image, positions], image)
        return self.norm_final_attn(known + last), image
