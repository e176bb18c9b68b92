"""Autoencoders with a codebook: what they share, whatever their networks."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn


class QuantisedCoder(nn.Module, ABC):
    """Encodes to vectors as the encoder gives them; decoding first puts the nearest code in the place of each.

    So latents stay continuous: a way between two of them leads through pictures of real codes all along.
    """

    @property
    @abstractmethod
    def book(self) -> torch.Tensor:
        """The codes, float32 [K, C]."""

    @abstractmethod
    def means(self, pixels: torch.Tensor) -> torch.Tensor:
        """Vectors before quantisation: pixels [N, channels, H, W], 0..1, to [N, C, h, w]."""

    @abstractmethod
    def restored(self, vectors: torch.Tensor) -> torch.Tensor:
        """Pixels, nominally 0..1, of vectors that are codes, [N, C, h, w]."""

    def codes(self, latents: torch.Tensor) -> torch.Tensor:
        """Numbers of the nearest codes: [N, C, h, w] to int64 [N, h, w]."""
        count, _, height, width = latents.shape
        return nearest(latents.permute(0, 2, 3, 1).flatten(0, 2), self.book).reshape(count, height, width)

    def vectors(self, codes: torch.Tensor) -> torch.Tensor:
        """int64 [N, h, w] to [N, C, h, w]."""
        return self.book[codes].permute(0, 3, 1, 2).contiguous()

    def pictures(self, latents: torch.Tensor) -> torch.Tensor:
        """Pixels of the codes nearest to latents; their derivatives by these are those by the codes' vectors, passed
        straight through (Bengio et al. 2013, arXiv:1308.3432)."""
        with torch.no_grad():
            vectors = self.vectors(self.codes(latents))
        return self.restored(vectors + (latents - latents.detach()) if latents.requires_grad else vectors)


def nearest(vectors: torch.Tensor, book: torch.Tensor) -> torch.Tensor:
    """Numbers of the codes [K, C] nearest to vectors [V, C] by Euclidean distance, the first of equals: int64 [V]."""
    return torch.cdist(vectors, book).argmin(dim=1)
