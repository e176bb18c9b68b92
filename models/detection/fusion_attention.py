"""Attention between the cells of a picture and the tokens of a caption, in both directions at once (GLIP, Li et al.
2022, arXiv:2112.03857), with what depends on the tokens alone worked out first."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class FusionAttention(nn.Module):
    """The layer of transformers' Grounding DINO and its kin, by the parameters of theirs.

    A caption has few tokens and a picture many cells, so no cell is projected to keys and values: (x Wq)(t Wk)' is
    x (Wq (t Wk)'), and the sum of p (x Wv) is (the sum of p x) Wv. The numbers are the same up to rounding.
    """

    def __init__(self, original: Any) -> None:
        super().__init__()
        self.heads: int = original.num_heads
        self.scale: float = original.scale
        self.vision_proj: nn.Linear = original.vision_proj
        self.text_proj: nn.Linear = original.text_proj
        self.values_vision_proj: nn.Linear = original.values_vision_proj
        self.values_text_proj: nn.Linear = original.values_text_proj
        self.out_vision_proj: nn.Linear = original.out_vision_proj
        self.out_text_proj: nn.Linear = original.out_text_proj

    def forward(
        self,
        vision_features: torch.Tensor,
        text_features: torch.Tensor,
        vision_attention_mask: torch.Tensor | None = None,
        text_attention_mask: torch.Tensor | None = None,
        **_: Any,
    ) -> tuple[tuple[torch.Tensor, None], tuple[torch.Tensor, None]]:
        """As transformers calls it; the attention's weights are not given back.

        vision_features: [B, N, D]. text_features: [B, T, D]. The masks, bool [B, N] and [B, T], are true for padding.
        """
        batch, cells = vision_features.shape[:2]
        tokens = text_features.shape[1]

        def split(projected: torch.Tensor) -> torch.Tensor:
            return projected.view(batch, tokens, self.heads, -1)

        keys = split(self.text_proj(text_features)) * self.scale
        weight = self.vision_proj.weight.unflatten(0, (self.heads, -1))
        folded = torch.einsum("bthc,hcd->bdht", keys, weight).flatten(2)
        bias = torch.einsum("bthc,hc->bht", keys, self.vision_proj.bias.unflatten(0, (self.heads, -1))).flatten(1)
        scores = torch.baddbmm(bias[:, None], vision_features, folded)  # [B, N, H * T]

        to_text = scores.transpose(1, 2)
        if vision_attention_mask is not None:
            to_text = to_text.masked_fill(vision_attention_mask[:, None], float("-inf"))
        seen = (to_text.softmax(-1) @ vision_features).unflatten(1, (self.heads, tokens))
        weight = self.values_vision_proj.weight.unflatten(0, (self.heads, -1))
        read = torch.einsum("bhtd,hcd->bthc", seen, weight).flatten(2) + self.values_vision_proj.bias

        to_vision = scores.view(batch, cells, self.heads, tokens)
        if text_attention_mask is not None:
            to_vision = to_vision.masked_fill(text_attention_mask[:, None, None], float("-inf"))
        values = split(self.values_text_proj(text_features))
        weight = self.out_vision_proj.weight.unflatten(1, (self.heads, -1))
        folded = torch.einsum("bthc,dhc->bhtd", values, weight).flatten(1, 2)
        told = torch.baddbmm(self.out_vision_proj.bias, to_vision.softmax(-1).flatten(2), folded)
        return (told, None), (self.out_text_proj(read), None)
