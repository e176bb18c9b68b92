"""StyleGAN as a generator: its noise modes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from ... import noise
from ..style_generator import NUMPY, Streams, StyleGenerator
from .network import FIRST, StyleGAN1

LAYERS_HELD = 4.2
"""Activations of the widest layer that are there at a time."""


class StyleGAN1Generator(StyleGenerator):
    """Noise modes as in `StyleGAN2Generator`; random is the default, as in the official example."""

    network: StyleGAN1

    def __init__(self, architecture: str, network: StyleGAN1, identity: str) -> None:
        super().__init__(architecture, network, (), identity, {"noise_mode": "random", "seeding": NUMPY})

    def memory_bytes(self, batch_size: int) -> int:
        channels = self.network.sizes.channels[: self.network.levels]
        widest = max(count * (FIRST << level) ** 2 for level, count in enumerate(channels))
        return int(4 * batch_size * LAYERS_HELD * widest)

    def pictures(self, ws: Tensor, noise: Sequence[Tensor | None], options: Mapping[str, Any]) -> Tensor:
        return self.network(ws, noise)

    def noise_sides(self, options: Mapping[str, Any]) -> tuple[int, ...]:
        return () if options["noise_mode"] == "none" else self._sides

    def drawn_noise(self, streams: Streams, options: Mapping[str, Any]) -> Sequence[Tensor | None]:
        mode = options["noise_mode"]
        if mode == "const":
            return self.network.const_noise()
        if mode == "none":
            return [None] * len(self.network.noise_sides)
        return self.for_layers([noise.normal(streams, (1, side, side)).to(self._device) for side in self._sides])

    def for_layers(self, maps: Sequence[Tensor]) -> Sequence[Tensor | None]:
        return [each for each in maps for _ in (0, 1)] if self.network.settings.shared_noise else maps

    @property
    def _sides(self) -> tuple[int, ...]:
        """Of the maps of noise, of which two layers may share one."""
        return tuple(self.network.noise_sides[:: 2 if self.network.settings.shared_noise else 1])
