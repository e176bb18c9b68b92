"""SAM 2's mask decoder (Ravi et al. 2024): SAM's, with maps of higher resolution and a choice of its own.

Imported only where a network is built: it stands on package segment_anything.
"""

from __future__ import annotations

import torch
from segment_anything.modeling import TwoWayTransformer
from segment_anything.modeling.common import LayerNorm2d
from segment_anything.modeling.mask_decoder import MLP
from torch import nn

from .architecture import Stability


class MaskDecoder(nn.Module):
    """Two-way transformer over tokens (object score, IoU, masks, prompts) and an image; upscaling; one MLP a mask.

    stability: for the one mask; None where it is always taken.
    """

    def __init__(
        self,
        transformer: TwoWayTransformer,
        num_multimasks: int,
        iou_head_depth: int,
        iou_head_dim: int,
        stability: Stability | None,
    ) -> None:
        super().__init__()
        width, masks = transformer.embedding_dim, num_multimasks + 1
        self.stability = stability
        self.transformer = transformer
        self.no_mem_embed = nn.Parameter(torch.empty(1, 1, width))
        self.obj_score_token = nn.Embedding(1, width)
        self.iou_token = nn.Embedding(1, width)
        self.mask_tokens = nn.Embedding(masks, width)
        self.conv_s0 = nn.Conv2d(width, width // 8, 1)
        self.conv_s1 = nn.Conv2d(width, width // 4, 1)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(width, width // 4, 2, 2),
            LayerNorm2d(width // 4),
            nn.GELU(),
            nn.ConvTranspose2d(width // 4, width // 8, 2, 2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(MLP(width, width, width // 8, 3) for _ in range(masks))
        self.iou_prediction_head = MLP(width, iou_head_dim, masks, iou_head_depth, sigmoid_output=True)
        # A video asks it whether the object is in the frame; a picture does not, but files have it.
        self.pred_obj_score_head = MLP(width, width, 1, 3)

    def project(self, large: torch.Tensor, middle: torch.Tensor, small: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What the decoder reads of the image encoder's maps: [B, C, g, g] of the smallest, which also says that
        nothing is remembered of earlier frames, and [B, C / 8, 4g, 4g], [B, C / 4, 2g, 2g] of the others."""
        embedded = small + self.no_mem_embed.reshape(1, -1, 1, 1)
        return embedded, self.conv_s0(large), self.conv_s1(middle)

    def forward(
        self,
        features: tuple[torch.Tensor, ...],
        positions: torch.Tensor,
        sparse: torch.Tensor,
        dense: torch.Tensor,
        three: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mask logits [N, M, 4g, 4g] and predicted IoU [N, M] of N prompts.

        features: `project`'s maps of one image, without the batch. positions: [1, C, g, g]. sparse: tokens [N, T, C] of
        the prompts. dense: their masks, [N, C, g, g].
        """
        embedded, large, middle = features
        own = torch.cat([self.obj_score_token.weight, self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([own.expand(len(sparse), -1, -1), sparse], dim=1)
        image = embedded + dense
        answers, pixels = self.transformer(image, positions.expand_as(image), tokens)
        pixels = pixels.transpose(1, 2).reshape(image.shape)
        first, norm, act, second, last = self.output_upscaling
        pixels = act(norm(first(pixels) + middle))
        pixels = last(second(pixels) + large)
        masks = len(self.output_hypernetworks_mlps)
        weights = [mlp(answers[:, 2 + index]) for index, mlp in enumerate(self.output_hypernetworks_mlps)]
        logits = (torch.stack(weights, dim=1) @ pixels.flatten(2)).reshape(-1, masks, *pixels.shape[-2:])
        ious = self.iou_prediction_head(answers[:, 1])
        if three:
            return logits[:, 1:], ious[:, 1:]
        return self._one(logits, ious)

    def _one(self, logits: torch.Tensor, ious: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The mask for clear prompts; where it is unstable, the best of the others."""
        chosen = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
        if self.stability is not None:
            delta, threshold = self.stability
            sure = (logits[:, 0] > delta).sum(dim=(1, 2))
            wide = (logits[:, 0] > -delta).sum(dim=(1, 2))
            stable = (wide == 0) | (sure / wide.clamp(min=1) >= threshold)
            chosen = torch.where(stable, chosen, 1 + ious[:, 1:].argmax(dim=1))
        rows = torch.arange(len(logits), device=logits.device)
        return logits[rows, chosen, None], ious[rows, chosen, None]
