"""Files of pictures as one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

import torch

from ..errors import BadInput
from ..steps import OnStep, quiet
from .image_files import read_with_mask
from .resizing import FITS, Fit, fit

Resize = Fit | Literal["none"]
RESIZES: Final = ("none", *FITS)


class Loaded(NamedTuple):
    """images: float32 [N, H, W, 3], 0..1. masks: float32 [N, H, W], 1 where a picture is transparent. names: of each.
    unreadable: name -> why, of the files that were left out."""

    images: torch.Tensor
    masks: torch.Tensor
    names: tuple[str, ...]
    unreadable: Mapping[str, str]


def load_batch(
    files: Mapping[str, Path],
    resize: Resize = "none",
    height: int = 0,
    width: int = 0,
    skip_corrupt: bool = False,
    on_step: OnStep = quiet,
) -> Loaded:
    """The pictures of files by their names, in the order given, read one at a time into one batch.

    Args:
        resize: how pictures of other sizes are brought to one (`resizing.py`); "none" refuses them.
        height, width: of the batch, pixels; 0 is the first picture's own.
        skip_corrupt: leave out what cannot be read.

    Raises:
        BadInput: a file cannot be read, or none of them; sizes differ and `resize` is "none".
    """
    images = masks = None
    unreadable: dict[str, str] = {}
    names: list[str] = []
    for done, (name, path) in enumerate(files.items(), 1):
        try:
            picture, mask = read_with_mask(path)
        except BadInput as error:
            if not skip_corrupt:
                raise
            unreadable[name] = str(error.__cause__)
            continue
        if images is None or masks is None:
            tall, wide = height or picture.shape[0], width or picture.shape[1]
            images, masks = torch.empty(len(files), tall, wide, 3), torch.empty(len(files), tall, wide)
        images[len(names)], masks[len(names)] = _fitted(name, picture, mask, images.shape[1:3], resize, names)
        names.append(name)
        on_step(done, None)
    if images is None or masks is None:
        raise BadInput(f"path: none of the {len(files)} pictures can be read; choose others.")
    return Loaded(images[: len(names)], masks[: len(names)], tuple(names), unreadable)


def _fitted(
    name: str, picture: torch.Tensor, mask: torch.Tensor, size: Sequence[int], resize: Resize, before: Sequence[str]
) -> tuple[torch.Tensor, torch.Tensor]:
    height, width = size
    if resize != "none":
        return fit(picture, height, width, resize), fit(mask[..., None], height, width, resize)[..., 0]
    if tuple(picture.shape[:2]) != (height, width):
        wanted = f"{before[0]} {width} x {height}" if before else f"{width} x {height} are asked for"
        raise BadInput(
            f"resize: {name} has {picture.shape[1]} x {picture.shape[0]} pixels, {wanted}; choose a way to bring them "
            f"to one size: {', '.join(FITS)}. Folder Features takes pictures of any size."
        )
    return picture, mask
