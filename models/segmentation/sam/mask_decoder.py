"""SAM's mask decoder (Kirillov et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from ..layers import MLP, LayerNorm2d, doubled, unfolded
from ..two_way import TwoWayTransformer


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
        answers, places = self.discussed(features[0], positions, sparse, dense, own)
        pixels = self.enlarged(places)
        chosen = range(1, len(self.output_hypernetworks_mlps)) if three else range(1)
        logits = as_maps(pixels @ self.weights(answers, chosen).transpose(1, 2), dense.shape[-2:])
        return logits, self.iou_prediction_head(answers[:, 0])[:, chosen.start : chosen.stop]

    def discussed(
        self,
        maps: torch.Tensor,
        positions: torch.Tensor,
        sparse: torch.Tensor,
        dense: torch.Tensor,
        own: Sequence[torch.Tensor],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens, the decoder's `own` ones before the prompts', [N, T, C], and the image's places [N, g * g, C], after
        they have attended to each other."""
        tokens = torch.cat([torch.cat([*own]).expand(len(sparse), -1, -1), sparse], dim=1)
        image = (maps + dense).flatten(2).transpose(1, 2)
        return self.transformer(image, positions.flatten(2).transpose(1, 2), tokens)

    def enlarged(self, places: torch.Tensor) -> torch.Tensor:
        """Pixels [N, g * g * 16, C / 8] of places [N, g * g, C]: those of each place together, four by four."""
        first, norm, _, last, _ = self.output_upscaling
        assert isinstance(norm, LayerNorm2d)
        return F.gelu(doubled(last, F.gelu(norm.of_places(doubled(first, places))))).flatten(1, 3)

    def weights(self, answers: torch.Tensor, chosen: Sequence[int]) -> torch.Tensor:
        """What makes masks of pixels: [N, M, C / 8], for the mask tokens that are `chosen`."""
        return torch.stack([self.output_hypernetworks_mlps[index](answers[:, 1 + index]) for index in chosen], dim=1)


def as_maps(values: torch.Tensor, grid: Sequence[int]) -> torch.Tensor:
    """Values of pixels in the order of `enlarged`, [N, g * g * 16, M], as maps [N, M, 4g, 4g]."""
    maps = unfolded(values.unflatten(1, (-1, 4, 4)), (grid[0], grid[1]))
    return maps.permute(0, 3, 1, 2)
