"""HQ-SAM as its authors' predictor runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch

from ..base import Embedding
from ..prompts import Prompt
from ..sam.segmenter import SamSegmenter
from .mask_decoder import HqMaskDecoder


class HqSamSegmenter(SamSegmenter):
    """SAM's way with images and prompts; every answer is one mask, the best of SAM's made finer."""

    architecture = "HQ-SAM"

    @property
    def hq_decoder(self) -> HqMaskDecoder:
        """The mask decoder."""
        return cast("HqMaskDecoder", self.mask_decoder)

    def look(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Two maps, [B, C, grid, grid] and [B, C / 8, 4 * grid, 4 * grid]."""
        parameter = next(self.image_encoder.parameters())
        pixels = self.preprocess(images).to(parameter.device, parameter.dtype)
        maps, early = self.image_encoder.with_early(pixels)
        return self.hq_decoder.project(maps.float(), early.float())

    def decode(
        self,
        embedding: Embedding,
        frame: int,
        prompts: Sequence[Prompt],
        three: bool,
        previous: torch.Tensor | None = None,
        hq_only: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """M is 1. three: of SAM's three masks the best is made finer, else its one. hq_only: without SAM's mask."""
        return self.hq_decoder(*self.asked(embedding, frame, prompts, previous), three, hq_only)

    def prompt_bytes(self) -> int:
        # Measured: 13.5 float32 values per cell and channel, for the finer maps of 4 * grid.
        return 54 * self.config.grid**2 * self.config.prompt_dim
