"""Pictures judged by how near their style is to that of another, whatever they show: by the Gram matrices of layers
(Gatys et al. 2016, "Image style transfer using convolutional neural networks")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch

from ...scoring.extractors.base import Extractor
from ..base import SampleRequest
from .critic import Critic, digest
from .embedding_critic import KEPT

SCALE: Final = 100.0
"""Of the loss, so that a style counts about as much as an embedding."""


class StyleCritic(Critic):
    """-SCALE times the mean over layers of the squared difference of Gram matrices, relative to that of the style.

    Relative, where the paper divides by sizes alone: layers then count alike in networks of any scale.
    """

    name = "style"

    def __init__(self, extractor: Extractor, styles: torch.Tensor, what: str = "") -> None:
        """
        Args:
            extractor: one that tells of its layers, on the device that `styles` are on. styles: pictures
                [T, 3, H, W], 0..1; sample i takes picture i, the first again after the last.
            what: the styles, for identity and notes.

        Raises:
            CannotDo: the extractor tells of no layers.
        """
        self._extractor = extractor
        self.modules, self.files = extractor.modules, extractor.files
        with torch.inference_mode(False), torch.no_grad():
            # One at a time: an extractor's estimate of memory is of few.
            rows = [grams(extractor.maps(style[None].clone())) for style in styles]
            self._grams = [torch.cat(layer).cpu() for layer in zip(*rows, strict=True)]
        self.identity = digest([self.name, extractor.identity, what])
        self.notes = (f"style critic: Gram matrices of {len(self._grams)} layers of {extractor.name}, of {what}",)

    def scores(
        self, pictures: torch.Tensor, requests: Sequence[SampleRequest], streams: Sequence[torch.Generator]
    ) -> torch.Tensor:
        wanted = [request.index % len(self._grams[0]) for request in requests]
        total = pictures.new_zeros(len(pictures))
        for found, styles in zip(grams(self._extractor.maps(pictures)), self._grams, strict=True):
            style = styles[wanted].to(found)
            size = style.square().sum(dim=(1, 2))
            total = total + (found - style).square().sum(dim=(1, 2)) / size
        return -SCALE / len(self._grams) * total

    def memory_bytes(self, height: int, width: int) -> int:
        return KEPT * self._extractor.memory_bytes(1)


def grams(maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Mean products of channels over the places of maps [N, C, h, w]: [N, C, C] of each."""
    return [rows @ rows.transpose(1, 2) / rows.shape[2] for rows in (each.flatten(2) for each in maps)]
