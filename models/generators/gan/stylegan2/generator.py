"""StyleGAN2 as a generator: its noise modes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from ... import noise
from ..style_generator import Streams, StyleGenerator
from .network import StyleGAN2

LAYERS_HELD = 5.2
"""Activations of the widest layer that are there at a time: its input before and after its style, its output before
and after its noise; less with constant noise."""


class StyleGAN2Generator(StyleGenerator):
    """seeding, noise_mode: the defaults of the file; see `StyleGenerator` and `_noise`."""

    network: StyleGAN2

    def __init__(
        self,
        architecture: str,
        network: StyleGAN2,
        class_names: tuple[str, ...],
        identity: str,
        seeding: str,
        noise_mode: str = "random",
    ) -> None:
        super().__init__(architecture, network, class_names, identity, {"noise_mode": noise_mode, "seeding": seeding})

    def memory_bytes(self, batch_size: int) -> int:
        blocks = zip(self.network.sizes.channels, self.network.synthesis.sides, strict=True)
        widest = max(channels * side**2 for channels, side in blocks)
        return int(4 * batch_size * LAYERS_HELD * widest)

    def pictures(self, ws: Tensor, noise: Sequence[Tensor | None], options: Mapping[str, Any]) -> Tensor:
        return self.network(ws, noise)

    def noise_sides(self, options: Mapping[str, Any]) -> tuple[int, ...]:
        return () if options["noise_mode"] == "none" else tuple(self.network.noise_sides)

    def drawn_noise(self, streams: Streams, options: Mapping[str, Any]) -> Sequence[Tensor | None]:
        """What every layer adds: "const", what the file comes with; "none"; or "random", drawn by each sample's stream
        from the coarsest layer on, as TensorFlow's scripts of StyleGAN2 do behind z."""
        mode = options["noise_mode"]
        if mode == "const":
            return self.network.const_noise()
        if mode == "none":
            return self.network.no_noise()
        return [noise.normal(streams, (1, side, side)).to(self._device) for side in self.network.noise_sides]
