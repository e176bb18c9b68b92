"""HQ-SAM as its authors' predictor runs it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import cast

import torch

from ...errors import BadInput
from ..base import Embedding, Segmenter
from ..prompts import Prompt
from ..sam.segmenter import SamSegmenter
from .mask_decoder import HqMaskDecoder


class HqSamSegmenter(SamSegmenter):
    """SAM's way with images and prompts; every answer is one mask, the best of SAM's made finer."""

    architecture = "HQ-SAM"
    hq_only: bool = False
    """Whether masks are of its finer part alone, without SAM's."""

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
        hq_only: bool | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """M is 1. three: of SAM's three masks the best is made finer, else its one. hq_only: instead of the
        segmenter's own."""
        alone = self.hq_only if hq_only is None else hq_only
        return self.hq_decoder(*self.asked(embedding, frame, prompts, previous), three, alone)

    def prompt_bytes(self) -> int:
        # Measured: 13.5 float32 values per cell and channel, for the finer maps of 4 * grid.
        return 54 * self.config.grid**2 * self.config.prompt_dim


def finer_alone(segmenter: Segmenter) -> HqSamSegmenter:
    """The same HQ-SAM, whose masks are of its finer part alone; its networks are shared.

    Raises:
        BadInput: it is no HQ-SAM.
    """
    if not isinstance(segmenter, HqSamSegmenter):
        raise BadInput(
            f"hq_only: {segmenter.architecture} has no finer part, which HQ-SAM alone has; turn it off, or choose an "
            "HQ-SAM."
        )
    alone = copy.copy(segmenter)
    alone.hq_only = True
    return alone
