"""A vision model that the host has loaded, as an extractor: an adapter over plain functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import torch

from .base import Answers, Extractor
from .resizes import resize

TAP: Final = "embedding"


class HostExtractor(Extractor):
    """One vector per image, as the host gives it to its own nodes; no classes. The host places its network."""

    main = TAP

    def __init__(
        self,
        name: str,
        identity: str,
        side: int,
        size: int,
        encode: Callable[[torch.Tensor], torch.Tensor],
        memory_bytes: Callable[[int], int],
        setup: Mapping[str, str] | None = None,
    ) -> None:
        """
        Args:
            name: of the model, as tables show it. identity: of its weights.
            side: of the network's input in pixels. size: of the vectors.
            encode: pictures, float32 [N, side, side, 3], 0..1, CPU -> vectors, float32 [N, size], CPU.
            memory_bytes: estimate for a batch of N. setup: see `base.Source`.
        """
        self.name = name
        self.identity = identity
        self.modules = ()
        self.taps = {TAP: size}
        self._side = side
        self._encode = encode
        self._memory_bytes = memory_bytes
        self._setup = {**(setup or {}), "features": str(size), "side": str(side)}

    @property
    def setup(self) -> Mapping[str, str]:
        return self._setup

    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        return resize(images, self._side, self.resize)

    def extract(self, prepared: torch.Tensor, taps: Sequence[str]) -> Answers:
        vectors = self._encode(prepared.movedim(1, -1) / 255)
        return Answers(tuple(vectors for _ in taps), None)

    def memory_bytes(self, batch_size: int) -> int:
        return self._memory_bytes(batch_size)
