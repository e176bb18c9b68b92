"""Binary masks as bits: 200 full-frame masks of 4096 x 4096 pixels take 0.42 GB instead of 3.4 GB."""

from __future__ import annotations

import numpy as np
import torch

from ..values import PackedMask


def pack(mask: torch.Tensor) -> PackedMask:
    """Pack a bool mask [H, W] into the bits of its tight bounds."""
    array = mask.cpu().numpy()
    rows = np.flatnonzero(array.any(axis=1))
    if rows.size == 0:
        return PackedMask(torch.zeros(0, 0, dtype=torch.uint8), 0, 0, 0)
    columns = np.flatnonzero(array.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    tight = array[top : rows[-1] + 1, left : columns[-1] + 1]
    return PackedMask(torch.from_numpy(np.packbits(tight, axis=1)), left, top, tight.shape[1])


def unpack(mask: PackedMask) -> torch.Tensor:
    """The bool pixels [h, w] of the mask's tight bounds."""
    if mask.width == 0:
        return torch.zeros(0, 0, dtype=torch.bool)
    return torch.from_numpy(np.unpackbits(mask.bits.numpy(), axis=1, count=mask.width)).bool()


def paint(canvas: torch.Tensor, mask: PackedMask) -> None:
    """Set the mask's pixels in `canvas` [H, W], a bool tensor that the caller owns, to True."""
    pixels = unpack(mask)
    height, width = pixels.shape
    canvas[mask.y : mask.y + height, mask.x : mask.x + width] |= pixels


def area(mask: PackedMask) -> int:
    """Number of pixels in the mask."""
    return int(unpack(mask).sum())
