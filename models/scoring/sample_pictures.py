"""Small copies of a few samples, which scores carry along: for the page, and in JSON for another machine."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from PIL import Image

from ..pictures.png import eight_bit
from ..pictures.resizing import resize

ENDS: Final = ("best", "worst")
"""The nearest to the reference and the farthest from it, by their names in a benchmark's provenance."""
LONGEST: Final = 128
"""Of a copy's sides, in pixels."""
MOST: Final = 8
"""Of each end."""


def small(strip: torch.Tensor, count: int) -> torch.Tensor:
    """The first of at least one picture that stand side by side in [1, H, count * W, 3], 0..1: uint8 [n, h, w, 3].

    Pictures that are small enough keep their pixels.
    """
    height, width = strip.shape[1], strip.shape[2] // count
    scale = min(1.0, LONGEST / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    shown = strip[0].split(width, dim=1)[:MOST]
    return eight_bit(torch.stack([each if scale == 1 else resize(each, *size) for each in shown]))


def to_texts(pictures: torch.Tensor) -> list[str]:
    """uint8 [n, h, w, 3] as PNGs in base64."""
    texts = []
    for picture in pictures:
        file = io.BytesIO()
        Image.fromarray(picture.numpy()).save(file, "PNG", optimize=True)
        texts.append(base64.b64encode(file.getvalue()).decode())
    return texts


def read(told: Mapping[str, Sequence[Any]]) -> dict[str, torch.Tensor]:
    """What JSON holds of each end, as `to_texts` writes it; ends of other names are ignored.

    Raises:
        ValueError, TypeError: something is no such picture.
    """
    found = {end: [_picture(text) for text in told[end][:MOST]] for end in ENDS if told.get(end)}
    if any(picture.shape != pictures[0].shape for pictures in found.values() for picture in pictures):
        raise ValueError("pictures of samples differ in size")
    return {end: torch.stack(pictures) for end, pictures in found.items()}


def _picture(text: Any) -> torch.Tensor:
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"]) as picture:
            if max(picture.size) > LONGEST:
                raise ValueError(f"a sample's picture has more than {LONGEST} pixels a side")
            return torch.from_numpy(np.array(picture.convert("RGB")))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"a sample's picture cannot be read: {error}") from error
