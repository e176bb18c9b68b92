"""Pictures of one size brought to another, by a way that has a name."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import torch
from PIL import Image

Fit = Literal["resize", "crop", "pad"]
FITS: Final[tuple[Fit, ...]] = ("crop", "resize", "pad")
"""crop: fills the size and cuts off what stands out, evenly on both sides. resize: fills it and changes the aspect
ratio. pad: lies inside of it, centred, and the rest is background."""
CUT: Final = 4
"""Times the pixels that are kept, beyond which `crop` makes only these: Pillow takes the edges of a part as 32-bit
floats, which moves values by up to 2e-5."""


def fit(picture: torch.Tensor, height: int, width: int, how: Fit, background: float = 0.0) -> torch.Tensor:
    """A picture [H, W, C], 0..1, at another size: float32 [height, width, C].

    Bicubic with antialiasing, per channel in float32 and clamped: the resize that clean-fid recommends (Parmar et al.
    2022). A picture that has the size already comes back bit-identical. background: brightness of what `pad` adds.
    """
    found_height, found_width = picture.shape[:2]
    if (found_height, found_width) == (height, width):
        return picture
    if how == "resize":
        return resize(picture, height, width)
    scales = height / found_height, width / found_width
    scale = max(scales) if how == "crop" else min(scales)
    tall, wide = max(1, round(found_height * scale)), max(1, round(found_width * scale))
    if how == "crop" and tall * wide > CUT * height * width:
        return _middle(picture, tall, wide, height, width)
    return centred(resize(picture, tall, wide), height, width, background)


def _middle(picture: torch.Tensor, tall: int, wide: int, height: int, width: int) -> torch.Tensor:
    """The middle [height, width] of the picture at [tall, wide], of which no more is made: to fill a strip, that would
    be a picture of the strip's length squared."""
    top, left = (tall - height) // 2, (wide - width) // 2
    down, across = picture.shape[0] / tall, picture.shape[1] / wide
    box = left * across, top * down, (left + width) * across, (top + height) * down
    return resize(picture, height, width, box=box)


def centred(picture: torch.Tensor, height: int, width: int, background: float = 0.0) -> torch.Tensor:
    """A picture [H, W, C] in the middle of [height, width, C]: what stands out is cut off, what lacks is filled."""
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    cut = picture[max(0, top) : max(0, top) + height, max(0, left) : max(0, left) + width]
    canvas = torch.full((height, width, picture.shape[2]), background)
    top, left = (height - cut.shape[0]) // 2, (width - cut.shape[1]) // 2
    canvas[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
    return canvas


def resize(
    picture: torch.Tensor,
    height: int,
    width: int,
    highest: float = 1.0,
    box: tuple[float, float, float, float] | None = None,
) -> torch.Tensor:
    """A picture [H, W, C], 0..highest, stretched to [height, width, C], float32, in the same range. box: left, top,
    right and bottom of the part that is stretched, in pixels; all of it without one."""
    channels = [Image.fromarray(channel) for channel in picture.float().movedim(-1, 0).contiguous().cpu().numpy()]
    resized = [np.asarray(channel.resize((width, height), Image.Resampling.BICUBIC, box)) for channel in channels]
    return torch.from_numpy(np.stack(resized, axis=-1)).clamp(0, highest)


def enlarge(picture: torch.Tensor, factor: int) -> torch.Tensor:
    """Every pixel of [H, W, 3] as a square of `factor` x `factor`."""
    return picture.repeat_interleave(factor, dim=0).repeat_interleave(factor, dim=1)
