"""Crop and stitch of one object: its time depends on the object, and hardly on the picture around it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from trilemma.models.pictures.regions import crop, holes_of_masks, pasted, stitch

OBJECT: Final = 300
"""Diameter in pixels."""
SMALL, LARGE = 1024, 4096
AT_MOST: Final = 2.0


@dataclass(frozen=True)
class Growth:
    """CPU seconds in a small and in a large picture, without the copy of the picture that a stitch gives."""

    small: float
    large: float

    @property
    def ratio(self) -> float:
        return self.large / self.small


def seconds(side: int, repeats: int = 5) -> float:
    """Of a crop from a mask, a stitch, and the mask of what it pasted: the least of several turns, less a copy."""
    images, mask = torch.rand(1, side, side, 3, generator=torch.Generator().manual_seed(0)), torch.zeros(1, side, side)
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    mask[0] = (torch.hypot(y - side / 2.0, x - side / 3.0) < OBJECT / 2).float()

    def edit() -> None:
        cut = crop(images, holes_of_masks(mask, images), size=512, context_factor=1.6, grow=4, soften=4)
        stitch(cut.crops, cut.images.flip(1))
        pasted(cut.crops)

    return min(_taken(edit) - _taken(images.clone) for _ in range(repeats))


def _taken(call: Callable[[], Any]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def rows() -> list[tuple[str, Growth, float]]:
    """What is measured, and how much more the large picture may take."""
    return [(f"crop and stitch, an object of {OBJECT} px", Growth(seconds(SMALL), seconds(LARGE)), AT_MOST)]
