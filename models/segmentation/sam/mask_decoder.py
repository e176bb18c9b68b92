"""SAM's mask decoder (Kirillov et al. 2023)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import nn

from ..layers import MLP, LayerNorm2d, doubling, unfolded
from ..two_way import TwoWayTransformer

PLACES_AT_ONCE: Final = 1024
"""Places of an image that are enlarged and read together: the sixteen pixels of each stay in a processor's caches."""


class MaskDecoder(nn.Module):
    """Two-way transformer over tokens (IoU, masks, prompts) and an image; upscaling; one MLP a mask."""

    def __init__(
        self, transformer: TwoWayTransformer, num_multimasks: int, iou_head_depth: int, iou_head_dim: int
    ) -> None:
        super().__init__()
        width, masks = transformer.width, num_multimasks + 1
        self.transformer = transformer
        self.iou_token = nn.Embedding(1, width)
        self.mask_tokens = nn.Embedding(masks, width)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(width, width // 4, 2, 2),
            LayerNorm2d(width // 4),
            nn.GELU(),
            nn.ConvTranspose2d(width // 4, width // 8, 2, 2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(MLP(width, width, width // 8, 3) for _ in range(masks))
        self.iou_prediction_head = MLP(width, iou_head_dim, masks, iou_head_depth)

    def forward(
        self,
        features: Sequence[torch.Tensor],
        positions: torch.Tensor,
        sparse: torch.Tensor,
        dense: torch.Tensor,
        three: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mask logits [N, M, 4g, 4g] and predicted IoU [N, M] of N prompts.

        features: of one image, without the batch: the encoder's maps [C, g, g]. positions: [1, C, g, g]. sparse:
        tokens [N, T, C] of the prompts. dense: their masks, [N, C, g, g], or [1, C, g, g] where all have the same.
        """
        own = [self.iou_token.weight, self.mask_tokens.weight]
        chosen = range(1, len(self.output_hypernetworks_mlps)) if three else range(1)
        enlarge = self.enlarging()
        logits, ious = [], []
        for answers, places in self.discussed(features[0], positions, sparse, dense, own, 1 + chosen.stop):
            weights = self.weights(answers, chosen).transpose(1, 2)
            made = [enlarge(some) @ weights for some in places.split(PLACES_AT_ONCE, dim=1)]
            logits.append(as_maps(torch.cat(made, dim=1), dense.shape[-2:]))
            ious.append(self.iou_prediction_head(answers[:, 0])[:, chosen.start : chosen.stop])
        return torch.cat(logits), torch.cat(ious)

    def discussed(
        self,
        maps: torch.Tensor,
        positions: torch.Tensor,
        sparse: torch.Tensor,
        dense: torch.Tensor,
        own: Sequence[torch.Tensor],
        answers: int,
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """The first tokens [n, answers, C], the decoder's `own` ones before the prompts', and the image's places
        [n, g * g, C], after they have attended to each other, for a few of the N prompts after another."""
        tokens = torch.cat([torch.cat([*own]).expand(len(sparse), -1, -1), sparse], dim=1)
        image, placed = (each.flatten(2).transpose(1, 2).contiguous() for each in (maps + dense, positions))
        return self.transformer.in_turns(image, placed, tokens, answers)

    def enlarging(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """Makes pixels [N, S * 16, C / 8] of places [N, S, C]: those of each place together, four by four."""
        first, norm, _, last, _ = self.output_upscaling
        assert isinstance(norm, LayerNorm2d)
        once, twice = doubling(first), doubling(last)
        return lambda places: F.gelu(twice(F.gelu(norm.of_places(once(places))))).flatten(1, 3)

    def weights(self, answers: torch.Tensor, chosen: Sequence[int]) -> torch.Tensor:
        """What makes masks of pixels: [N, M, C / 8], for the mask tokens that are `chosen`."""
        return torch.stack([self.output_hypernetworks_mlps[index](answers[:, 1 + index]) for index in chosen], dim=1)


def as_maps(values: torch.Tensor, grid: Sequence[int]) -> torch.Tensor:
    """Values of pixels in the order of `enlarging`, [N, g * g * 16, M], as maps [N, M, 4g, 4g]."""
    maps = unfolded(values.unflatten(1, (-1, 4, 4)), (grid[0], grid[1]))
    return maps.permute(0, 3, 1, 2)
