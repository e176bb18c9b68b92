"""What editors of whole pictures do to what they were not asked to change, drawn at random."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from trilemma.models.pictures import example_scenes
from trilemma.models.pictures.restoration.placement import Placement, sample

SHIFT = 8.0
"""Pixels, along each axis."""
SCALE = 0.02
COLOURS = 0.06
NOISE = 0.01


class Drift(NamedTuple):
    """original [3, H, W]; edited [3, h, w]; changed: bool [H, W], what was meant to change; place: of the edit."""

    original: torch.Tensor
    edited: torch.Tensor
    changed: torch.Tensor
    place: Placement


def drift(seed: int, height: int, width: int, size: tuple[int, int] | None = None) -> Drift:
    """An original, changed within a disc or a square, and then shifted, scaled, recoloured unevenly, and noisy.

    size: of the edit, (h, w); the original's if it is None. Both have 256 levels, as files have.
    """
    rng = torch.Generator().manual_seed(seed)
    original = levels(picture(rng, height, width) + NOISE * torch.randn(3, height, width, generator=rng))
    changed = shape(rng, height, width)
    painted = torch.where(changed, paint(rng, original, changed), original)
    place = Placement(
        uniform(rng, -SHIFT, SHIFT),
        uniform(rng, -SHIFT, SHIFT),
        1 + uniform(rng, -SCALE, SCALE),
        1 + uniform(rng, -SCALE, SCALE),
    )
    h, w = size or (height, width)
    back = Placement(
        -place.shift_x / place.scale_x, -place.shift_y / place.scale_y, 1 / place.scale_x, 1 / place.scale_y
    )
    moved = sample(painted, h, w, back.resized(h / height, w / width))
    mixing = torch.eye(3) + COLOURS / 2 * torch.randn(3, 3, generator=rng)
    y, x = torch.linspace(-1, 1, h)[:, None], torch.linspace(-1, 1, w)
    slope = COLOURS / 4 * (uniform(rng, -1, 1) * x + uniform(rng, -1, 1) * y)
    offset = COLOURS * (torch.rand(3, generator=rng) - 0.5)
    coloured = (mixing @ moved.flatten(1)).reshape(moved.shape) + offset[:, None, None] + slope
    return Drift(original, levels(coloured + NOISE * torch.randn(3, h, w, generator=rng)), changed, place)


def levels(picture: torch.Tensor) -> torch.Tensor:
    return (picture.clamp(0, 1) * 255).round() / 255


def uniform(rng: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(1, generator=rng))


def picture(rng: torch.Generator, height: int, width: int) -> torch.Tensor:
    """A starter scene, or clouds of many sizes."""
    names = example_scenes.scene_names()
    kind = int(torch.randint(len(names) + 1, (1,), generator=rng))
    if kind < len(names):
        return sample(example_scenes.scene(names[kind])[0].movedim(-1, 0), height, width)
    clouds = torch.zeros(1, 3, height, width)
    for cells in (4, 8, 16, 32, 64):
        coarse = torch.rand(1, 3, cells, cells, generator=rng) / cells**0.5
        clouds += F.interpolate(coarse, size=(height, width), mode="bicubic")
    return ((clouds - clouds.min()) / (clouds.max() - clouds.min()))[0]


def shape(rng: torch.Generator, height: int, width: int) -> torch.Tensor:
    """A disc or a square anywhere, also across the picture's edge: bool [H, W]."""
    radius = uniform(rng, 0.08, 0.23) * min(height, width)
    y = (torch.arange(height) - uniform(rng, 0, height)).abs()[:, None]
    x = (torch.arange(width) - uniform(rng, 0, width)).abs()
    return torch.hypot(y, x.expand(height, width)) < radius if coin(rng) else (y < radius) & (x < radius)


def coin(rng: torch.Generator) -> bool:
    return bool(torch.rand(1, generator=rng) < 0.5)


def paint(rng: torch.Generator, original: torch.Tensor, changed: torch.Tensor) -> torch.Tensor:
    """Stripes in a colour that is far from what they cover."""
    colour = torch.rand(3, generator=rng)
    covered = original[:, changed].mean(dim=1)
    if (colour - covered).abs().max() < 0.25:
        colour = (covered + 0.5).remainder(1)
    return (colour[:, None, None] + 0.1 * torch.sin(torch.arange(original.shape[2]) / 3)).clamp(0, 1)


def shift_error(found: Placement, true: Placement) -> float:
    """Pixels, in the middle of the picture."""
    return math.hypot(found.shift_x - true.shift_x, found.shift_y - true.shift_y)


def corner_error(found: Placement, true: Placement, height: int, width: int) -> float:
    """Pixels, where it is largest."""
    return Placement(
        found.shift_x - true.shift_x,
        found.shift_y - true.shift_y,
        1 + found.scale_x - true.scale_x,
        1 + found.scale_y - true.scale_y,
    ).farthest(height, width)
