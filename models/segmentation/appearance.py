"""What objects look like to a segmenter, to tell one from another."""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F

from ..errors import BadInput
from ..pictures.packed import unpack
from ..steps import OnStep, quiet
from ..values import Objects, SegmentedObject
from .base import Embedding, Segmenter
from .decoding import check_embedding

COVERED: Final = 0.99
"""Share of a cell that an object covers wholly, but for rounding."""


@torch.no_grad()
def appearances(
    segmenter: Segmenter, embedding: Embedding, objects: Objects, on_step: OnStep = quiet
) -> list[torch.Tensor]:
    """For each object the mean of its image's embedding over its mask, float32 [C] of length 1, on the CPU; zeros where
    it has neither pixels nor a box. `on_step` gets the images done.

    Of the embedding's cells those count that lie inside the object with all their neighbours; where there are none,
    those that it covers; else all that it touches, by their shares: at its border an object looks like what is behind.

    Raises:
        BadInput: the embedding is of other images, or was made by another segmenter.
    """
    check_embedding(segmenter, embedding)
    if (objects.frames, objects.height, objects.width) != (embedding.frames, embedding.height, embedding.width):
        raise BadInput(
            f"embedding: it is of {embedding.frames} images of {embedding.width} x {embedding.height} pixels, and the "
            f"objects are of {objects.frames} of {objects.width} x {objects.height}; connect those of the same images."
        )
    found: dict[int, torch.Tensor] = {}
    for frame in range(objects.frames):
        here = [index for index, each in enumerate(objects.objects) if each.frame == frame]
        if here:
            maps = segmenter.seen(embedding, frame).features[0][0]
            rows, columns = segmenter.extent(maps, objects.height, objects.width)
            maps = maps[:, :rows, :columns]
            for index in here:
                weights = _weights(_shares(objects.objects[index], objects, (rows, columns))).to(maps.device)
                found[index] = F.normalize((maps * weights).sum(dim=(1, 2)), dim=0).cpu()
        on_step(frame + 1)
    return [found[index] for index in range(len(objects.objects))]


def _shares(found: SegmentedObject, objects: Objects, cells: tuple[int, int]) -> torch.Tensor:
    """How much of each cell of a map [rows, columns] the object covers, 0..1; its box, where its mask is empty."""
    canvas = torch.zeros(objects.height, objects.width)
    pixels = unpack(found.mask)
    if pixels.numel():
        x, y = found.mask.x, found.mask.y
        canvas[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels.float()
    else:
        x, y, width, height = found.box
        canvas[max(0, int(y)) : max(0, round(y + height)), max(0, int(x)) : max(0, round(x + width))] = 1
    return F.interpolate(canvas[None, None], cells, mode="area")[0, 0]


def _weights(shares: torch.Tensor) -> torch.Tensor:
    covered = (shares > COVERED).float()
    inside = -F.max_pool2d(-covered[None], 3, stride=1, padding=1)[0]
    return next((cells for cells in (inside, covered) if cells.any()), shares)
