"""The U-Net of guided diffusion whose attention also sees a context, such as a text."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .adm.network import Attention, Sizes, UNet, activated, embedding


class ContextUNet(UNet):
    """context: channels of what it sees besides; 0 for nothing. A subclass gives the attention that sees it."""

    def __init__(self, sizes: Sizes, context: int) -> None:
        # Each block of the network asks for it.
        self.context = context
        super().__init__(sizes)

    def _seeing(self, width: int) -> nn.Module:
        """Attention over maps of this width, of [N, width, h, w] and a context [N, L, context]."""
        raise NotImplementedError

    def _attention(self, width: int) -> Attention:
        if not self.context:
            return super()._attention(width)
        made: Any = self._seeing(width)
        made.sees = True
        return made

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, x: Tensor, time: Tensor, told: Tensor | None = None, seen: Tensor | None = None
    ) -> Tensor:
        """Its outputs, float32 [N, outputs, h, w], for what it is given [N, inputs, h, w] at steps of the training [N].

        told: [N, 4 channels], added to the embedded time. seen: [N, L, context].
        """
        dtype = next(self.time_embed.parameters()).dtype
        embedded = self.time_embed(embedding(time, self.sizes.channels).to(dtype))
        embedded = F.silu(embedded if told is None else embedded + told)
        x = x.to(embedded.dtype, memory_format=torch.channels_last)
        made = []
        for block in self.input_blocks:
            x = _through(block, x, embedded, seen)
            made.append(x)
        x = _through(self.middle_block, x, embedded, seen)
        for block in self.output_blocks:
            x = _through(block, torch.cat([x, made.pop()], dim=1), embedded, seen)
        return self.out[2](activated(self.out[0], x)).float()


def _through(block: Any, x: Tensor, embedded: Tensor, seen: Tensor | None) -> Tensor:
    for part in block:
        x = part(x, seen) if getattr(part, "sees", False) else part(x, embedded)
    return x
