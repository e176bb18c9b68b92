"""White triangles on black, and pictures near them that are none: a manifold of which everything is known.

After the triangles of Lucic et al. 2018 ("Are GANs Created Equal?", arXiv:1711.10337, on manifolds of convex polygons):
where data is drawn by a rule, what a generator gets wrong and leaves out need not be estimated.
"""

from __future__ import annotations

import math
from typing import Final, Literal, NamedTuple, get_args

import torch

from ..steps import OnStep, quiet

SMALLEST: Final = 16
LARGEST: Final = 256
"""Sides in pixels of pictures that are looked at."""
SMALLEST_DRAWN: Final = 24
"""Smaller ones have no room for a fault that is farther from any triangle than a pixel."""
MODES: Final = 10
"""Equal parts of the manifold: sectors in which a triangle's centre lies, seen from the picture's centre."""
SLIMMEST: Final = 1 / 14
"""Radius of the inscribed circle of the slimmest triangle that is drawn, of the picture's side."""
FROM_CENTRE: Final = 1 / 8
"""How far a drawn triangle's centre is from the picture's, at least, of its side: each has a direction."""
HOLE: Final = 0.6
"""Radius of a hole, of the inscribed circle's."""
NOISE: Final = 0.1
"""Standard deviation of noise, of white."""
_TRIES: Final = 64

Fault = Literal["hole", "square", "noise"]
FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)


class Drawn(NamedTuple):
    """corners: float64 [N, 3, 2], x and y in pixels, of what was drawn or what a fault was put into. pictures: float32
    [N, side, side], 0..1. faulty: bool [N]."""

    corners: torch.Tensor
    pictures: torch.Tensor
    faulty: torch.Tensor


def drawn(
    count: int,
    side: int,
    seed: int,
    faulty_share: float = 0.0,
    fault: Fault = "hole",
    modes_left_out: int = 0,
    on_step: OnStep = quiet,
) -> Drawn:
    """Triangles of a square picture; sample i depends on `seed + i`, and on i whether it has the fault.

    Corners are uniform in the inscribed circle, of those that `SLIMMEST` and `FROM_CENTRE` allow; that distribution
    looks alike from all sides, so every mode has 1 / MODES of it, and without the last `modes_left_out` modes exactly
    that share of it is missing. fault: a hole in the triangle, a square of its area in its place, or noise all over.
    """
    kept = 1 - modes_left_out / MODES
    generators = [torch.Generator().manual_seed((seed + place) % 2**64) for place in range(count)]
    corners, pictures, faulty = [], [], []
    for place, generator in enumerate(generators):
        corners.append(_corners(generator, side, kept))
        picture = paint(corners[-1][None], side, side)[0]
        # So spread that of the first n pictures n * faulty_share have it, rounded to the nearest.
        faulty.append(math.floor((place + 1) * faulty_share + 0.5) > math.floor(place * faulty_share + 0.5))
        picture = _with_fault(fault, corners[-1], picture, generator) if faulty[-1] else picture
        pictures.append(picture.float())
        on_step(place + 1)
    return Drawn(torch.stack(corners), torch.stack(pictures), torch.tensor(faulty))


def paint(corners: torch.Tensor, height: int, width: int, softness: float = 1.0) -> torch.Tensor:
    """Convex polygons [N, K, 2], corners turning from x towards y, as pictures float64 [N, H, W]: white inside, black
    outside, and grey where a pixel's centre lies within half a pixel of the nearest edge, times `softness`."""
    return (0.5 + depths(corners, height, width).amin(dim=1) / softness).clamp(0, 1)


def depths(corners: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """How far inside of each edge's line pixels' centres lie: float64 [N, K, H, W]."""
    normals = inward(corners)
    offsets = (normals * corners).sum(dim=2)
    rows, columns = centres(height, width)
    across = normals[..., 0, None, None] * columns + normals[..., 1, None, None] * rows
    return across - offsets[..., None, None]


def centres(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """y [H, 1] and x [1, W] of pixels' centres."""
    rows, columns = (torch.arange(side, dtype=torch.float64) + 0.5 for side in (height, width))
    return rows[:, None], columns[None]


def inward(corners: torch.Tensor) -> torch.Tensor:
    """Unit normals of the edges from each corner to the next: [N, K, 2]."""
    edges = corners.roll(-1, dims=1) - corners
    turned = torch.stack([-edges[..., 1], edges[..., 0]], dim=-1)
    return turned / edges.norm(dim=-1, keepdim=True).clamp_min(1e-12)


def areas(corners: torch.Tensor) -> torch.Tensor:
    """Of triangles [N, 3, 2]; below 0 where the corners turn the other way."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2


def inscribed_radii(corners: torch.Tensor) -> torch.Tensor:
    """Of triangles' inscribed circles; below 0 where the corners turn the other way."""
    around = (corners.roll(-1, dims=1) - corners).norm(dim=2).sum(dim=1)
    return 2 * areas(corners) / around.clamp_min(1e-12)


def modes(corners: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Which of the MODES triangles belong to: int64 [N]."""
    away = corners.mean(dim=1) - torch.tensor([width / 2, height / 2], dtype=corners.dtype)
    turns = torch.atan2(away[:, 1], away[:, 0]) / (2 * math.pi) % 1
    return (turns * MODES).long().clamp_max(MODES - 1)


def _corners(generator: torch.Generator, side: int, kept: float) -> torch.Tensor:
    """One triangle, turned about the picture's centre so that its own lies in the first `kept` of all directions."""
    while True:
        radii, turns = torch.rand(2, _TRIES, 3, generator=generator, dtype=torch.float64)
        tried = _polar(radii.sqrt() * (side / 2 - 1), turns)
        fit = inscribed_radii(tried).abs() >= side * SLIMMEST
        fit &= tried.mean(dim=1).norm(dim=1) >= side * FROM_CENTRE
        if bool(fit.any()):
            break
    corners = tried[int(fit.nonzero()[0])]
    if areas(corners[None]) < 0:
        corners = corners.flip(0)
    x, y = corners.mean(dim=0).tolist()
    wanted = 2 * math.pi * kept * float(torch.rand((), generator=generator, dtype=torch.float64))
    angle = wanted - math.atan2(y, x)
    turn = torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]], dtype=torch.float64)
    return corners @ turn + side / 2


def _polar(radii: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    angles = 2 * math.pi * turns
    return torch.stack([radii * angles.cos(), radii * angles.sin()], dim=-1)


def _with_fault(fault: Fault, corners: torch.Tensor, picture: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    height, width = picture.shape
    if fault == "noise":
        noise = torch.randn(height, width, generator=generator, dtype=torch.float64)
        return (picture + NOISE * noise).clamp(0, 1)
    if fault == "square":
        half = math.sqrt(float(areas(corners[None])) / 2)
        turns = (torch.arange(4, dtype=torch.float64) + torch.rand((), generator=generator, dtype=torch.float64)) / 4
        return paint((corners.mean(dim=0) + _polar(torch.tensor(half), turns))[None], height, width)[0]
    opposite = (corners.roll(-1, dims=0) - corners.roll(-2, dims=0)).norm(dim=1, keepdim=True)
    x, y = ((corners * opposite).sum(dim=0) / opposite.sum()).tolist()
    rows, columns = centres(height, width)
    radius = HOLE * float(inscribed_radii(corners[None]))
    return picture * (0.5 + torch.hypot(rows - y, columns - x) - radius).clamp(0, 1)
