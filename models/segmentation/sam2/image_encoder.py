"""SAM 2's image encoder: Hiera, and a pyramid of its maps in one width (Lin et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from .hiera import Hiera


class Lateral(nn.Module):
    """A map of one stage in the pyramid's width."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.conv(maps)


class Pyramid(nn.Module):
    """Maps of all stages, the largest first, in one width.

    top_down: indices of the stages that also take what lies above them, enlarged.
    """

    def __init__(self, widths: Sequence[int], width: int, top_down: Sequence[int]) -> None:
        super().__init__()
        self.top_down = tuple(top_down)
        self.convs = nn.ModuleList(Lateral(inputs, width) for inputs in reversed(widths))

    def forward(self, stages: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        last = len(stages) - 1
        found: list[torch.Tensor] = []
        for index in range(last, -1, -1):
            maps = self.convs[last - index](stages[index])
            if index in self.top_down and found:
                above = F.interpolate(found[-1].float(), scale_factor=2.0, mode="nearest")
                maps = maps + above.to(maps.dtype)
            found.append(maps)
        return found[::-1]


class ImageEncoder(nn.Module):
    """Pictures [B, 3, S, S] to three maps [B, width, S / n, S / n], n = 4, 8, 16. The smallest map of the pyramid only
    serves the others."""

    def __init__(self, trunk: Hiera, neck: Pyramid) -> None:
        super().__init__()
        self.trunk, self.neck = trunk, neck

    def forward(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        return self.neck(self.trunk(pixels))[:-1]
