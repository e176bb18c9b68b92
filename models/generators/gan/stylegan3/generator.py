"""StyleGAN3 as a generator: its pictures can be moved and turned."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..style_generator import NUMPY, StyleGenerator
from .design import layers
from .network import StyleGAN3
from .resampling import bytes_at_a_time

LAYERS_HELD = 4.5
"""Activations of the widest layer that are there at a time, beside what is upsampled."""
UPSAMPLED_HELD = 2
"""How often what is upsampled is there."""


class StyleGAN3Generator(StyleGenerator):
    """translate_x, translate_y: shares of the picture's side, to the right and downwards. rotation: degrees, as
    NVIDIA's script counts them. What comes into view is drawn."""

    network: StyleGAN3

    def __init__(self, architecture: str, network: StyleGAN3, class_names: tuple[str, ...], identity: str) -> None:
        options = {"seeding": NUMPY, "translate_x": 0.0, "translate_y": 0.0, "rotation": 0.0}
        super().__init__(architecture, network, class_names, identity, options)

    def memory_bytes(self, batch_size: int) -> int:
        plan = layers(self.network.sizes, self.network.settings)
        padding = self.network.sizes.kernel - 1
        padded = [(layer.given.size + padding) ** 2 for layer in plan]
        widest = max(channels * floats for channels, floats in zip(self.network.sizes.channels, padded, strict=True))
        outputs = (*self.network.sizes.channels[1:], self.network.img_channels)
        upsampled = max(
            channels * floats * layer.up**2 for channels, floats, layer in zip(outputs, padded, plan, strict=True)
        )
        at_a_time = min(4 * batch_size * upsampled, bytes_at_a_time(self._device))
        return int(4 * batch_size * LAYERS_HELD * widest + UPSAMPLED_HELD * at_a_time)

    def pictures(self, ws: Tensor, noise: Sequence[Tensor | None], options: Mapping[str, Any]) -> Tensor:
        return self.network(ws, moved_by(options["translate_x"], options["translate_y"], options["rotation"]))


def moved_by(x: float, y: float, degrees: float) -> Tensor | None:
    """From places of the moved picture to those of the one that is drawn, [3, 3]; None where nothing moves."""
    if not (x or y or degrees):
        return None
    angle = math.radians(degrees)
    cosine, sine = math.cos(angle), math.sin(angle)
    motion = torch.tensor([[cosine, sine, x], [-sine, cosine, y], [0.0, 0.0, 1.0]], dtype=torch.float64)
    return torch.linalg.inv(motion).float()
