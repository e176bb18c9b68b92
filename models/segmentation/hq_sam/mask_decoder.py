"""HQ-SAM's mask decoder (Ke et al. 2023): SAM's, with a token and maps of its own for a finer mask."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from ..layers import MLP, LayerNorm2d, unfolded
from ..sam.mask_decoder import MaskDecoder, as_maps
from ..two_way import TwoWayTransformer


def _enlarging(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Maps of four times the height and width."""
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, hidden, 2, 2),
        LayerNorm2d(hidden),
        nn.GELU(),
        nn.ConvTranspose2d(hidden, outputs, 2, 2),
    )


class HqMaskDecoder(MaskDecoder):
    """SAM's decoder, one token more after those of the masks, and the mask that this token makes of finer maps.

    early: channels of the image encoder's early maps.
    """

    def __init__(
        self,
        transformer: TwoWayTransformer,
        num_multimasks: int,
        iou_head_depth: int,
        iou_head_dim: int,
        early: int,
    ) -> None:
        super().__init__(transformer, num_multimasks, iou_head_depth, iou_head_dim)
        width = transformer.width
        self.hf_token = nn.Embedding(1, width)
        self.hf_mlp = MLP(width, width, width // 8, 3)
        self.compress_vit_feat = _enlarging(early, width, width // 8)
        self.embedding_encoder = _enlarging(width, width // 4, width // 8)
        self.embedding_maskfeature = nn.Sequential(
            nn.Conv2d(width // 8, width // 4, 3, padding=1),
            LayerNorm2d(width // 4),
            nn.GELU(),
            nn.Conv2d(width // 4, width // 8, 3, padding=1),
        )

    def project(self, maps: torch.Tensor, early: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What it reads of an image: the encoder's maps [B, C, g, g], and with its early maps finer ones
        [B, C / 8, 4g, 4g]."""
        return maps, self.embedding_encoder(maps) + self.compress_vit_feat(early)

    def forward(
        self,
        features: Sequence[torch.Tensor],
        positions: torch.Tensor,
        sparse: torch.Tensor,
        dense: torch.Tensor,
        three: bool,
        hq_only: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mask logits [N, 1, 4g, 4g] and predicted IoU [N, 1]: always one mask, SAM's and the finer one added up.

        three: of SAM's three masks that of the highest predicted IoU, else the one for clear prompts. hq_only: the
        finer mask alone; the IoU is SAM's. features: `project`'s, of one image; all else as in `MaskDecoder`.
        """
        own = [self.iou_token.weight, self.mask_tokens.weight, self.hf_token.weight]
        grid = (dense.shape[-2], dense.shape[-1])
        discussed = self.discussed(features[0], positions, sparse, dense, own, 2 + len(self.output_hypernetworks_mlps))
        some = [self._answered(answers, places, features[1], grid, three, hq_only) for answers, places in discussed]
        logits, ious = zip(*some, strict=True)
        return torch.cat(logits), torch.cat(ious)

    def _answered(
        self,
        answers: torch.Tensor,
        places: torch.Tensor,
        finer: torch.Tensor,
        grid: tuple[int, int],
        three: bool,
        hq_only: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The same of what `discussed` gives for a few prompts, and the image's finer maps."""
        pixels = self.enlarging()(places)
        masks = len(self.output_hypernetworks_mlps)
        fine = self.embedding_maskfeature(unfolded(pixels.unflatten(1, (-1, 4, 4)), grid).permute(0, 3, 1, 2))
        logits = torch.einsum("nc,nchw->nhw", self.hf_mlp(answers[:, 1 + masks]), fine + finer)[:, None]
        ious = self.iou_prediction_head(answers[:, 0])
        if three:
            ious, best = ious[:, 1:].max(dim=1, keepdim=True)
            weights = self.weights(answers, range(1, masks))
            weights = weights.gather(1, best[..., None].expand(-1, -1, weights.shape[2]))
        else:
            ious, weights = ious[:, :1], self.weights(answers, range(1))
        if not hq_only:
            logits = logits + as_maps(pixels @ weights.transpose(1, 2), grid)
        return logits, ious
