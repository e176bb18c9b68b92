"""Pictures to PNG files, with texts that tell where they came from."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..files.atomic import unfinished

COMPRESSION: Final = 4
"""As the host's Save Image takes it; zlib's scale of 0 to 9."""


def eight_bit(images: torch.Tensor) -> torch.Tensor:
    """Values 0..1 (others are cut off) as uint8 0..255, rounded to the nearest, on the CPU; any shape."""
    return images.float().clamp(0, 1).mul(255).round().to("cpu", torch.uint8)


def as_png(picture: torch.Tensor, texts: Mapping[str, Any] | None = None) -> bytes:
    """[H, W, 3 or 4], 0..1, as the bytes of a file; see `write_png`."""
    stream = io.BytesIO()
    _save(stream, picture, texts)
    return stream.getvalue()


def write_png(path: Path, picture: torch.Tensor, texts: Mapping[str, Any] | None = None, new: bool = False) -> None:
    """Write [H, W, 3 or 4], 0..1, in place of what was there: whole or not at all.

    texts: chunks of the file by their keys; the values are written as JSON. new: see `unfinished`.
    """
    # Not waiting for the disk, as `replacing` does: of thousands of samples that would take longer than drawing them.
    with unfinished(path, new) as part:
        _save(part, picture, texts)


def _save(target: Path | io.BytesIO, picture: torch.Tensor, texts: Mapping[str, Any] | None) -> None:
    chunks = PngInfo()
    for key, value in (texts or {}).items():
        chunks.add_text(key, json.dumps(value))
    image = Image.fromarray(eight_bit(picture).numpy())
    image.save(target, "PNG", pnginfo=chunks, compress_level=COMPRESSION)
