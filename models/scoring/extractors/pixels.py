"""Pixels themselves as features: no network, for pictures whose every pixel is known to count."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import torch

from ...errors import BadInput
from .base import Answers, Extractor
from .resizes import resize, with_derivatives

TAP: Final = "pixels"
SMALLEST: Final = 8
LARGEST: Final = 64
"""Sides in pixels; the Fréchet distance needs the square of the square of it."""
LUMA: Final = (0.299, 0.587, 0.114)


class PixelExtractor(Extractor):
    """The luminance, 0..1, of pictures that were brought to side x side pixels; no classes."""

    main = TAP
    modules = ()

    def __init__(self, side: int) -> None:
        """
        Raises:
            BadInput: side is not from SMALLEST to LARGEST.
        """
        if not SMALLEST <= side <= LARGEST:
            raise BadInput(f"side: {side}; give {SMALLEST} to {LARGEST} pixels.")
        self.name = f"pixels {side} x {side}"
        self.identity = hashlib.sha256(f"luminance {LUMA} {side}".encode()).hexdigest()
        self.taps = {TAP: side * side}
        self.side = side

    @property
    def setup(self) -> Mapping[str, str]:
        return {"model": "pixels", "layer": TAP, "side": str(self.side), "values": "luminance / 255"}

    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        return resize(images, self.side, self.resize)

    def extract(self, prepared: torch.Tensor, taps: Sequence[str]) -> Answers:
        weights = torch.tensor(LUMA, device=prepared.device) / 255
        features = (prepared.float() * weights[:, None, None]).sum(dim=1).flatten(1)
        return Answers(tuple(features for _ in taps), None)

    def see(self, pictures: torch.Tensor, taps: Sequence[str]) -> Answers:
        return self.extract(with_derivatives(pictures, self.side), taps)

    def memory_bytes(self, batch_size: int) -> int:
        return 4 * 4 * self.side**2 * batch_size
