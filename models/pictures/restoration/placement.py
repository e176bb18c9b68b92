"""Where the content of a picture lies in another one, and the other one sampled there."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch

REACH: Final = 2
"""Of the cubic kernel, in pixels."""
EXACT: Final = 1e-6
"""Pixels by which positions may miss whole ones and still mean them."""


class Placement(NamedTuple):
    """What lies at (x, y) of an original lies in its edit, brought to the original's size, at

        x + shift_x + (scale_x - 1) (x - centre),   y + shift_y + (scale_y - 1) (y - centre),

    in pixels of the original; the centre is the picture's."""

    shift_x: float = 0.0
    shift_y: float = 0.0
    scale_x: float = 1.0
    scale_y: float = 1.0

    def farthest(self, height: int, width: int) -> float:
        """The largest way in pixels by which it moves a point of the original."""
        x = abs(self.shift_x) + abs(self.scale_x - 1) * width / 2
        y = abs(self.shift_y) + abs(self.scale_y - 1) * height / 2
        return math.hypot(x, y)

    def resized(self, factor_y: float, factor_x: float) -> Placement:
        """The same between pictures that are larger by these factors."""
        return self._replace(shift_x=self.shift_x * factor_x, shift_y=self.shift_y * factor_y)


SAME: Final = Placement()
"""Nothing moved."""


def sample(picture: torch.Tensor, height: int, width: int, place: Placement = SAME) -> torch.Tensor:
    """The edit [C, h, w] as it lies over the original: [C, height, width].

    By the cubic kernel of Keys (1981, "Cubic convolution interpolation for digital image processing", a = -1/2),
    widened where pixels are left out, so that nothing aliases. What lies outside of the edit repeats its border.
    Positions that are whole pixels give the very same values.
    """
    rows = _positions(height, picture.shape[1], place.shift_y, place.scale_y)
    columns = _positions(width, picture.shape[2], place.shift_x, place.scale_x)
    return _along(_along(picture, rows, 1), columns, 2)


def covered(size: tuple[int, int], height: int, width: int, place: Placement) -> torch.Tensor:
    """bool [height, width]: the original's pixels whose content lies inside of an edit of `size` (h, w)."""
    inside = []
    for count, found, shift, scale in (
        (height, size[0], place.shift_y, place.scale_y),
        (width, size[1], place.shift_x, place.scale_x),
    ):
        at = _positions(count, found, shift, scale)
        inside.append((at > -0.5 - EXACT) & (at < found - 0.5 + EXACT))
    return inside[0][:, None] & inside[1]


def _positions(count: int, found: int, shift: float, scale: float) -> torch.Tensor:
    """Where `count` pixels of the original lie on an axis of `found` pixels of the edit: float64 [count]."""
    centre = (count - 1) / 2
    at = (torch.arange(count, dtype=torch.float64) - centre) * scale + centre + shift
    return (at + 0.5) * (found / count) - 0.5


def _along(picture: torch.Tensor, at: torch.Tensor, dim: int) -> torch.Tensor:
    """[C, H, W] at positions [n] of one dimension."""
    last = picture.shape[dim] - 1
    nearest = at.round()
    if bool((at - nearest).abs().max() < EXACT):
        return picture.index_select(dim, nearest.long().clamp(0, last).to(picture.device))
    step = float((at[-1] - at[0]) / (len(at) - 1)) if len(at) > 1 else 1.0
    widen = max(step, 1.0)
    first = (at - REACH * widen).floor() + 1
    taps = first[:, None] + torch.arange(math.ceil(2 * REACH * widen))
    weights = _keys((taps - at[:, None]).abs() / widen)
    weights = (weights / weights.sum(dim=1, keepdim=True)).to(picture)
    taps = taps.long().clamp(0, last).to(picture.device)
    shape = [1, 1, 1]
    shape[dim] = len(at)
    total = picture.index_select(dim, taps[:, 0]) * weights[:, 0].reshape(shape)
    for tap in range(1, taps.shape[1]):
        total.addcmul_(picture.index_select(dim, taps[:, tap]), weights[:, tap].reshape(shape))
    return total


def _keys(distance: torch.Tensor) -> torch.Tensor:
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance <= 1, near, torch.where(distance < REACH, far, 0.0))
