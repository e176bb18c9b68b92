"""Files of pictures, read by Pillow: what is in one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from ..errors import BadInput


def read_picture(path: Path) -> torch.Tensor:
    """A picture, the first frame of an animated one, turned as its EXIF says: float32 [H, W, 3], 0..1.

    An alpha channel is dropped, as the host's Load Image does.

    Raises:
        BadInput: the file is broken, or no picture; names it.
    """
    pixels = _decode(path)
    return torch.from_numpy(pixels).float() / 255 if pixels.dtype == np.uint8 else _grey(pixels)


def read_eight_bit(path: Path) -> torch.Tensor:
    """The same with values of 0 to 255, 16 bits rounded: uint8 [H, W, 3].

    Raises:
        BadInput: see `read_picture`.
    """
    pixels = _decode(path)
    return torch.from_numpy(pixels) if pixels.dtype == np.uint8 else _grey(pixels).mul(255).round().byte()


def _decode(path: Path) -> np.ndarray:
    """uint8 [H, W, 3], or float32 [H, W] where a picture has 16 bits for each pixel, which Pillow would clip at 255."""
    try:
        with Image.open(path) as file:
            upright = ImageOps.exif_transpose(file)
            if upright.mode.startswith("I"):
                return np.array(upright, dtype=np.float32)
            return np.array(upright.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadInput(f"folder: {path} cannot be read as a picture ({error}); repair it, or take it away.") from error


def _grey(pixels: np.ndarray) -> torch.Tensor:
    return (torch.from_numpy(pixels) / 65535)[..., None].expand(-1, -1, 3).clamp(0, 1).contiguous()
