"""Where two images differ, as a picture."""

from __future__ import annotations

from typing import Final

import torch

from ..metrics.pairs import Pairs

STOPS: Final = (
    (0, 0, 4), (11, 7, 36), (33, 12, 74), (61, 9, 101), (87, 16, 110), (113, 25, 110), (138, 34, 106), (163, 44, 97),
    (188, 55, 84), (210, 70, 68), (228, 90, 49), (241, 115, 29), (249, 142, 9), (252, 172, 17), (249, 203, 53),
    (242, 234, 105), (252, 255, 164),
)  # fmt: skip
"""Colours of the map "inferno" of van der Walt and Smith (CC0) at equal distances: lightness grows evenly."""


def difference_map(pairs: Pairs, gain: float) -> torch.Tensor:
    """The absolute difference, averaged over R, G, B and multiplied by `gain`, as colours [N, H, W, 3].

    0 is black, 1 and more a pale yellow; through violet and orange between.
    """
    height = (pairs.reference - pairs.image).abs().mean(dim=-1).mul(gain).clamp(0, 1) * (len(STOPS) - 1)
    colours = torch.tensor(STOPS, dtype=torch.float32, device=height.device) / 255
    below = height.floor().long().clamp(max=len(STOPS) - 2)
    return torch.lerp(colours[below], colours[below + 1], (height - below)[..., None])
