"""Small copies of pictures, for the page to draw on."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as F

from ..files.atomic import make_folder, sweep_parts
from .png import eight_bit, write_png

LONGEST: Final = 1024
"""Of a copy's sides, in pixels."""


def small_copy(picture: torch.Tensor, folder: Path) -> dict[str, Any]:
    """Write a picture [H, W, 3], 0..1, to `folder`, the host's for temporary files, at most 1024 pixels long.

    Returns what the page asks the host for (filename, subfolder, type), and the width and height of the picture
    itself. The name tells the content, so that a picture is written once.
    """
    height, width = picture.shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    copy = picture if scale == 1 else F.interpolate(picture.permute(2, 0, 1)[None].float(), size, mode="area")[0]
    pixels = eight_bit(copy if scale == 1 else copy.permute(1, 2, 0))
    digest = hashlib.sha256(repr((height, width)).encode() + pixels.numpy().tobytes()).hexdigest()[:16]
    path = folder / f"trilemma_{digest}.png"
    if not path.exists():
        make_folder(folder)
        sweep_parts(folder)
        write_png(path, pixels / 255)
    return {"filename": path.name, "subfolder": "", "type": "temp", "width": width, "height": height}
