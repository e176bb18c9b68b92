"""Files of pictures, read by Pillow: what is in one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps

from ..errors import BadInput

READER: Final = "Pillow"
"""How sets of features and reports call what reads here."""
SIXTEEN_BITS: Final = 65535
RANGES: Final = (1, 255, SIXTEEN_BITS)
"""What white may be in pictures of floats and of 32-bit integers, which do not say it."""
SAMPLE_FORMAT: Final = 339
"""Tag of TIFF files; 1 is an unsigned integer."""


class Decoded(NamedTuple):
    """pixels: uint8 [H, W, 3], or float32 [H, W], 0..1, of pictures with more than 8 bits of grey. alpha: uint8 [H, W],
    None where the picture has none."""

    pixels: np.ndarray
    alpha: np.ndarray | None


def read_picture(path: Path) -> torch.Tensor:
    """A picture, the first frame of an animated one, turned as its EXIF says: float32 [H, W, 3], 0..1.

    An alpha channel is dropped. Greys of 16 bits are divided by 65535. Of floats and of integers of 32 bits white is
    the smallest of 1, 255 and 65535 that no value exceeds, else the largest integer.

    Raises:
        BadInput: the file is broken, or no picture; names it.
    """
    return _floats(_decode(path).pixels)


def read_with_mask(path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """The same, and the host's MASK of it, float32 [H, W]: 1 - alpha, a transparent colour counted; 0 without alpha.

    Raises:
        BadInput: see `read_picture`.
    """
    pixels, alpha = _decode(path)
    mask = torch.zeros(pixels.shape[:2]) if alpha is None else 1 - torch.from_numpy(alpha).float() / 255
    return _floats(pixels), mask


def read_eight_bit(path: Path) -> torch.Tensor:
    """The same with values of 0 to 255, more bits rounded: uint8 [H, W, 3].

    Raises:
        BadInput: see `read_picture`.
    """
    pixels = _decode(path).pixels
    return torch.from_numpy(pixels) if pixels.dtype == np.uint8 else _floats(pixels).mul(255).round().byte()


def _decode(path: Path) -> Decoded:
    try:
        with Image.open(path) as file:
            kind, unsigned = file.format, _is_unsigned(file)
            # Without this, and where the mode is right already, Pillow would copy the picture.
            ImageOps.exif_transpose(file, in_place=True)
            if file.mode[0] in "IF":
                return Decoded(_grey(np.array(file), file.mode, kind, unsigned), None)
            alpha = np.array(file.convert("RGBA").getchannel("A")) if file.has_transparency_data else None
            return Decoded(np.array(file if file.mode == "RGB" else file.convert("RGB")), alpha)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadInput(f"folder: {path} cannot be read as a picture ({error}); repair it, or take it away.") from error


def _is_unsigned(file: Image.Image) -> bool:
    tags: Any = getattr(file, "tag_v2", {})
    return tags.get(SAMPLE_FORMAT, (1,))[0] == 1


def _grey(values: np.ndarray, mode: str, kind: str | None, unsigned: bool) -> np.ndarray:
    """float32 [H, W], 0..1, of Pillow's modes of 16 and 32 bits, whose own conversion cuts off at 255."""
    if mode.startswith("I;16") or (mode == "I" and kind != "TIFF"):
        # Of 16 bits, which older versions of Pillow, and all of them for PGM, give as 32.
        return (values.astype(np.float32) / SIXTEEN_BITS).clip(0, 1)
    if not np.isfinite(values).all():
        raise ValueError("it holds values that are no numbers")
    if mode == "I" and unsigned:
        values = values.view(np.uint32)
    brightest = values.max()
    white = next((white for white in RANGES if brightest <= white), None)
    if white is None:
        white = float(brightest) if mode == "F" else float(np.iinfo(values.dtype).max)
    return (values / np.float64(white)).clip(0, 1).astype(np.float32)


def _floats(pixels: np.ndarray) -> torch.Tensor:
    if pixels.dtype == np.uint8:
        return torch.from_numpy(pixels).float() / 255
    return torch.from_numpy(pixels)[..., None].expand(-1, -1, 3).contiguous()
