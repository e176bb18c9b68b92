"""Precision and recall that are known, not estimated: of pictures that ought to be white triangles on black.

After Lucic et al. 2018 (arXiv:1711.10337): on a manifold of polygons the distance of any picture to the nearest polygon
can be taken, so precision is the share of pictures whose squared distance is below a threshold. They take recall by
inverting the generator; here it is the share of the modes that pictures on the manifold reach, without a generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F

from ...errors import BadInput
from ...pictures.images import rgb
from ...pictures.triangles import LARGEST, MODES, SMALLEST, centres, depths, inscribed_radii, inward, modes, paint
from ...steps import OnStep, quiet
from ..scores import Score
from .shares import Share, share

DELTA: Final = 0.75
"""Squared distance from which on a picture is none of the manifold: three quarters of one wrong pixel."""
REACHED: Final = 0.1
"""Part of its even share from which on a mode counts as reached: one picture across a border is none yet."""
FEW: Final = 10 * MODES
"""Pictures below which a mode can be empty by chance: each has ten of so many."""
_THINNEST: Final = 1.0
"""Radius of the inscribed circle in pixels: without a limit a black picture were a triangle too."""
_SHARP: Final = ((1.0, 24),)
_FROM_AFAR: Final = ((4.0, 8), (2.0, 6), (1.0, 24))
"""Softness of edges, and steps by it: soft ones are felt from afar."""
_FITS: Final = 0.05
"""Squared distance below which no further start is tried."""
_SETTLED: Final = 1e-4
"""Part of a squared distance by which a last step lessens it."""
_AT_ONCE: Final = 100_000
"""Pixels of the pictures that are fitted together."""


class Nearest(NamedTuple):
    """corners: float64 [N, 3, 2] of the nearest triangle that was found for each picture, x and y in pixels.
    squares: float64 [N], squared distances of pictures to it, over pixels, the mean of the three channels."""

    corners: torch.Tensor
    squares: torch.Tensor


class Truth(NamedTuple):
    """precision: share of the pictures on the manifold. recall: share of the modes that these reach.
    reached: bool [MODES]. nearest: the triangles. delta: squared distance below which a picture is on it."""

    precision: Share
    recall: float
    reached: torch.Tensor
    nearest: Nearest
    delta: float


def nearest_triangles(images: torch.Tensor, on_step: OnStep = quiet) -> Nearest:
    """The triangle next to each of images [N, H, W, 3 or 4], 0..1; alpha is ignored.

    Corners lie within the picture. Least squares by Levenberg and Marquardt's steps from two starts: a nearer triangle
    may exist, so distances are upper bounds; of a triangle's own picture they are 0 up to rounding.

    Raises:
        BadInput: no images, a side that is not from SMALLEST to LARGEST, or values that are not finite.
    """
    pictures = rgb(images, "images").double().cpu()
    height, width = pictures.shape[1:3]
    if not SMALLEST <= min(height, width) <= max(height, width) <= LARGEST:
        raise BadInput(f"images: {width} x {height}; give pictures of {SMALLEST} to {LARGEST} pixels a side.")
    found = []
    for part in pictures.split(max(1, _AT_ONCE // (height * width))):
        grey = part.mean(dim=3)
        colour = (part - grey[..., None]).square().mean(dim=3).sum(dim=(1, 2))
        corners, squares = _nearest(grey)
        found.append(Nearest(corners, squares + colour))
        on_step(sum(len(each.squares) for each in found))
    return Nearest(*(torch.cat(values) for values in zip(*found, strict=True)))


def truth(images: torch.Tensor, delta: float = DELTA, on_step: OnStep = quiet) -> Truth:
    """Of images as `nearest_triangles` takes them.

    Raises:
        BadInput: see there; or delta is not above 0.
    """
    if not delta > 0:
        raise BadInput(f"delta: {delta:g}; give a squared distance above 0.")
    nearest = nearest_triangles(images, on_step)
    on_it = nearest.squares < delta
    of_mode = torch.bincount(modes(nearest.corners[on_it], *images.shape[1:3]), minlength=MODES)
    reached = of_mode >= max(1.0, REACHED * len(images) / MODES)
    return Truth(share(on_it.tolist()), float(reached.double().mean()), reached, nearest, delta)


def as_scores(found: Truth) -> tuple[Score, ...]:
    """The two numbers, and what they are of."""
    precision, count = found.precision, len(found.nearest.squares)
    few = "" if count >= FEW else f"; warning: few pictures ({count}), of which a mode can be empty by chance"
    return (
        Score("known_precision", precision.value, low=precision.low, high=precision.high,
              note=f"squared distance below {found.delta:g}, 95 % interval"),
        Score("known_recall", found.recall, note=f"of {MODES} modes{few}"),
    )  # fmt: skip


def describe(found: Truth) -> str:
    """In words."""
    squares, precision = found.nearest.squares, found.precision
    lost = [str(number) for number, reached in enumerate(found.reached.tolist(), 1) if not reached]
    lines = [
        f"known precision: {precision.value:.1%} of {precision.count} pictures lie on the manifold of triangles "
        f"(95 %: {precision.low:.1%} to {precision.high:.1%})",
        f"known recall: {found.recall:.0%}, {MODES - len(lost)} of {MODES} modes are reached",
        f"squared distance to the nearest triangle: median {float(squares.median()):.3g}, largest "
        f"{float(squares.max()):.3g}; on the manifold below {found.delta:g}",
    ]
    if lost:
        lines.append(f"modes without pictures: {', '.join(lost)}")
    if len(squares) < FEW:
        lines.append(f"warning: few pictures ({len(squares)}), of which a mode can be empty by chance; take {FEW}")
    return "\n".join(lines)


def _nearest(grey: torch.Tensor) -> Nearest:
    """Of pictures [N, H, W]: by sharp edges at once where that fits, else from afar too, and from a smoothed start."""
    corners, squares = _fit(grey, _start(grey), _SHARP)
    left = (squares >= _FITS).nonzero().flatten()
    smoothed = F.avg_pool2d(grey[left, None], 3, 1, padding=1, count_include_pad=False)[:, 0]
    for seen in (grey[left], smoothed):
        tried = _fit(grey[left], _start(seen), _FROM_AFAR)
        better = tried.squares < squares[left]
        corners[left[better]], squares[left[better]] = tried.corners[better], tried.squares[better]
    return Nearest(corners, squares)


def _start(grey: torch.Tensor) -> torch.Tensor:
    """Corners [N, 3, 2] from bright pixels: the farthest from their centre, the farthest from that one, and the
    farthest from the line through both; a small triangle where they make none."""
    rows, columns = (each.expand(grey.shape[1:]).flatten() for each in centres(*grey.shape[1:]))
    places = torch.stack([columns, rows], dim=1)
    bright = (grey > 0.5).flatten(1)
    weights = bright.double()
    centre = (weights @ places) / weights.sum(dim=1, keepdim=True).clamp_min(1)

    def farthest(measure: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        return places[measure(places).masked_fill(~bright, -1).argmax(dim=1)]

    first = farthest(lambda at: (at - centre[:, None]).square().sum(dim=2))
    second = farthest(lambda at: (at - first[:, None]).square().sum(dim=2))
    along = second - first
    third = farthest(
        lambda at: (along[:, None, 0] * (at[:, 1] - first[:, 1:]) - along[:, None, 1] * (at[:, 0] - first[:, :1])).abs()
    )
    corners = torch.stack([first, second, third], dim=1)
    # Pixels' centres lie within the triangle by half a pixel.
    away = corners - corners.mean(dim=1, keepdim=True)
    corners = corners + away / away.norm(dim=2, keepdim=True).clamp_min(1e-12)
    corners = torch.where((inscribed_radii(corners) < 0)[:, None, None], corners.flip(1), corners)
    limits = torch.tensor([grey.shape[2], grey.shape[1]], dtype=torch.float64)
    corners = torch.minimum(corners.clamp_min(0), limits)
    brightest = places[grey.flatten(1).argmax(dim=1)].clamp_min(4)
    brightest = torch.minimum(brightest, limits - 4)
    small = torch.tensor([[-3.0, -2.0], [3.0, -2.0], [0.0, 3.0]], dtype=torch.float64) + brightest[:, None]
    return torch.where((inscribed_radii(corners) >= _THINNEST)[:, None, None], corners, small)


def _fit(grey: torch.Tensor, corners: torch.Tensor, stages: Sequence[tuple[float, int]]) -> Nearest:
    """The nearest triangle from a start; it is never thinner than _THINNEST and never leaves the picture."""
    height, width = grey.shape[1:]
    limits = torch.tensor([width, height], dtype=torch.float64)
    wanted, corners = grey.flatten(1), corners.clone()
    costs = torch.full((len(grey),), torch.inf, dtype=torch.float64)
    for softness, steps in stages:
        costs = _cost(corners, wanted, height, width, softness)
        damping = torch.full((len(grey),), 1e-2, dtype=torch.float64)
        moving = torch.arange(len(grey))
        for _ in range(steps):
            residuals, slopes = _linear(corners[moving], wanted[moving], height, width, softness)
            normal = slopes.mT @ slopes
            diagonal = damping[moving, None] * (normal.diagonal(dim1=1, dim2=2) + 1e-3)
            step = torch.linalg.solve(normal + torch.diag_embed(diagonal), -(slopes.mT @ residuals[..., None]))
            tried = torch.minimum((corners[moving] + step.reshape(-1, 3, 2)).clamp_min(0), limits)
            found, before = _cost(tried, wanted[moving], height, width, softness), costs[moving]
            better = (found < before) & (inscribed_radii(tried) >= _THINNEST)
            corners[moving[better]], costs[moving[better]] = tried[better], found[better]
            damping[moving] = torch.where(better, damping[moving] / 4, damping[moving] * 8)
            still = torch.where(better, found < (1 - _SETTLED) * before, damping[moving] < 1e4)
            moving = moving[still]
            if not len(moving):
                break
    return Nearest(corners, costs)


def _cost(corners: torch.Tensor, wanted: torch.Tensor, height: int, width: int, softness: float) -> torch.Tensor:
    return (paint(corners, height, width, softness).flatten(1) - wanted).square().sum(dim=1)


def _linear(
    corners: torch.Tensor, wanted: torch.Tensor, height: int, width: int, softness: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Differences [N, P] of the painted triangle, and their slopes [N, P, 6] by the corners' places.

    A corner that moves takes the edge's line with it by (1 - t) or t, t being a pixel's place along the edge.
    """
    inside = depths(corners, height, width).flatten(2)
    least, edge = inside.min(dim=1)
    values = 0.5 + least / softness
    grey = (values > 0) & (values < 1)
    rows, columns = (each.expand(height, width).flatten() for each in centres(height, width))
    edges = corners.roll(-1, dims=1) - corners
    from_first = torch.stack([columns, rows], dim=1) - corners[:, :, None]
    along = (from_first * edges[:, :, None]).sum(dim=3) / edges.square().sum(dim=2, keepdim=True).clamp_min(1e-12)
    active = grey[:, None] & (edge[:, None] == torch.arange(3)[:, None])
    normals = inward(corners)[:, :, None] / softness
    of_first = -(active * (1 - along))[..., None] * normals
    of_second = -(active * along)[..., None] * normals
    slopes = of_first + of_second.roll(1, dims=1)
    return values.clamp(0, 1) - wanted, slopes.permute(0, 2, 1, 3).flatten(2)
