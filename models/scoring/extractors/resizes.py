"""Ways from pixels to a network's input size. Scores change with the way, so each has a name that results carry.

All take uint8 images [N, H, W, 3] and give values 0..255, [N, 3, side, side]; a row depends on its own image alone.
Images that have the size already keep their pixels, as uint8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from ...pictures import resizing

FEW: Final = 3
"""Where one column in so many is next to a place of the result, those are picked out before all become floats."""
Resize = Callable[[torch.Tensor, int], torch.Tensor]


def resize(images: torch.Tensor, side: int, name: str) -> torch.Tensor:
    """Images [N, H, W, 3], uint8, by the way of this name: [N, 3, side, side], 0..255, uint8 or float32."""
    if images.shape[1:3] == (side, side):
        return images.movedim(-1, 1)
    return RESIZES[name](images, side)


def tensorflow(images: torch.Tensor, side: int) -> torch.Tensor:
    """Bilinear as TensorFlow 1.x does it, which FID was published with: source = target * in / out, without the half
    pixel, without antialiasing.

    The products and sums are those of torch-fidelity's port, in its order, so the bits are its bits; but columns are
    interpolated once for each row of the image instead of twice for each row of the result.
    """
    height, width = images.shape[1:3]
    left, right, x = _neighbours(width, side)
    top, bottom, y = _neighbours(height, side)
    rows, columns = torch.cat([top, bottom]).unique(), torch.cat([left, right]).unique()
    used = images[:, rows]
    if FEW * len(columns) <= width:
        used = used.index_select(2, columns)
        left, right = torch.searchsorted(columns, left), torch.searchsorted(columns, right)
    # Columns first in memory: a neighbour is then a whole block. [N, columns, rows, 3]
    used = used.transpose(1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    mixed = _mix(used, 1, left, right, x.view(-1, 1, 1))
    # [N, 3, rows, side]
    mixed = mixed.permute(0, 3, 2, 1).contiguous()
    return _mix(mixed, 2, torch.searchsorted(rows, top), torch.searchsorted(rows, bottom), y.view(-1, 1))


def _neighbours(size: int, side: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of each place of the result: the pixels before and after it in the image, and its distance from the former."""
    places = torch.arange(side, dtype=torch.float32) * torch.tensor(size / side, dtype=torch.float32)
    before = places.long()
    return before, (before + 1).clamp_max(size - 1), places - before


def _mix(
    values: torch.Tensor, dim: int, before: torch.Tensor, after: torch.Tensor, share: torch.Tensor
) -> torch.Tensor:
    first = values.index_select(dim, before)
    return values.index_select(dim, after).sub_(first).mul_(share).add_(first)


def bilinear(images: torch.Tensor, side: int) -> torch.Tensor:
    """Bilinear with half-pixel centres, without antialiasing: torch's own, as pytorch-fid uses it."""
    return F.interpolate(images.movedim(-1, 1).float(), (side, side), mode="bilinear")


def antialiased(images: torch.Tensor, side: int) -> torch.Tensor:
    """Bilinear with antialiasing: torch's own, the default of torchmetrics."""
    return F.interpolate(images.movedim(-1, 1).float(), (side, side), mode="bilinear", antialias=True)


def with_derivatives(pictures: torch.Tensor, side: int) -> torch.Tensor:
    """Pictures [N, 3, H, W], 0..1, by bilinear resampling with antialiasing: [N, 3, side, side], 0..255, not rounded,
    with derivatives. Those of the size keep their pixels."""
    if pictures.shape[2:] != (side, side):
        pictures = F.interpolate(pictures, (side, side), mode="bilinear", antialias=True)
    return 255 * pictures


def clean(images: torch.Tensor, side: int) -> torch.Tensor:
    """Pillow's bicubic with antialiasing, per channel in float32 (Parmar et al. 2022, clean-fid)."""
    resized = [resizing.resize(image, side, side, highest=255) for image in images]
    return torch.stack(resized).movedim(-1, 1)


def bicubic(images: torch.Tensor, side: int) -> torch.Tensor:
    """Bicubic without antialiasing, torch's own, as CMMD's code takes it, and then clamped."""
    resized = F.interpolate(images.movedim(-1, 1).float(), (side, side), mode="bicubic")
    return resized.clamp_(0, 255)


def pillow(images: torch.Tensor, side: int) -> torch.Tensor:
    """Pillow's bicubic of 8-bit pictures, which rounds between rows and columns: torchvision's, in dgm-eval."""
    size = (side, side)
    resized = [np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)) for image in images.numpy()]
    return torch.from_numpy(np.stack(resized)).movedim(-1, 1).float()


RESIZES: Final[Mapping[str, Resize]] = {
    "TF1": tensorflow,
    "clean": clean,
    "torchmetrics": antialiased,
    "pytorch-fid": bilinear,
    "bicubic": bicubic,
    "Pillow": pillow,
}
"""Public name -> way, the default first."""
