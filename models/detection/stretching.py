"""Pictures stretched to the one size that a network sees, as `preprocessor_config.json` tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import torch
import torch.nn.functional as F

from ..errors import BadCheckpoint
from .caption_folders import PREPROCESSOR
from .preprocessing import LARGEST, MEAN, STD

BILINEAR: Final = 2
"""As PIL numbers interpolations."""
LEVELS: Final = 255


class Input(NamedTuple):
    """What a network sees of a picture.

    height, width: in pixels. mean, std: of RGB values 0..1, taken off and divided by.
    """

    height: int = 640
    width: int = 640
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)


def read_input(preprocessor: Mapping[str, Any], normalised: bool) -> Input:
    """What a `preprocessor_config.json` says; 640 x 640 where it tells no size, ImageNet's statistics where it tells
    none. normalised: whether values are normalised where it does not say.

    Raises:
        BadCheckpoint: a size that is no height and width, no three means and deviations, or another interpolation.
    """
    usual = Input()
    size = preprocessor.get("size", {"height": usual.height, "width": usual.width})
    height, width = (size.get("height"), size.get("width")) if isinstance(size, Mapping) else (None, None)
    if not all(isinstance(side, int) and 1 <= side <= LARGEST for side in (height, width)):
        raise BadCheckpoint(
            f"{PREPROCESSOR}: the size {size!r} is not one that the detector knows; write "
            '{"height": 640, "width": 640}.'
        )
    resample = preprocessor.get("resample", BILINEAR)
    if resample != BILINEAR:
        raise BadCheckpoint(f"{PREPROCESSOR}: resample is {resample!r}; the detector knows {BILINEAR}, bilinear.")
    # Statistics are of the numbers that the network sees, which are those of 8 bits where they are not rescaled.
    scale = 1 if preprocessor.get("do_rescale", True) else LEVELS
    mean, std = usual.mean, usual.std
    if preprocessor.get("do_normalize", normalised):
        mean, std = (three(preprocessor, *each) for each in (("image_mean", MEAN), ("image_std", STD)))
    mean, std = (tuple(each / scale for each in values) for values in (mean, std))
    return usual._replace(height=height, width=width, mean=mean, std=std)


def three(preprocessor: Mapping[str, Any], name: str, usual: Sequence[float]) -> tuple[float, ...]:
    """Numbers of a preprocessor for red, green and blue.

    Raises:
        BadCheckpoint: they are no three numbers.
    """
    found = preprocessor.get(name, usual)
    if isinstance(found, Sequence) and len(found) == 3 and all(isinstance(each, int | float) for each in found):
        return tuple(found)
    raise BadCheckpoint(f"{PREPROCESSOR}: {name} is {found!r}; write three numbers, such as {list(usual)}.")


def stretched(images: torch.Tensor, seen: Input) -> torch.Tensor:
    """Network input [B, 3, h, w] of RGB images [B, H, W, 3] of values 0..1; without aliasing where they shrink."""
    mean, std = (torch.tensor(each, device=images.device)[:, None, None] for each in (seen.mean, seen.std))
    size = (seen.height, seen.width)
    scaled = F.interpolate(images.permute(0, 3, 1, 2), size=size, mode="bilinear", antialias=True)
    return (scaled.clamp(0, 1) - mean) / std


def resampling(seen: Input, height: int) -> int:
    """Numbers alive while one picture of `height` pixels is stretched, beside the result."""
    return 9 * seen.height * seen.width + 3 * height * seen.width
