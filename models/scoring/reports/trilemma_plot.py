"""The trilemma plot: quality upwards, coverage to the right, speed into the depth, one mark for each model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import Final

import torch

from ...pictures.grids import Theme
from ..leaderboard import Group
from ..metric import METRICS
from ..trilemma import Axis, Place, Trilemma, trilemma
from .canvas import LARGE, NORMAL, SMALL, WIDTH, Sheet, colour_of
from .numbers import number

Point = tuple[float, float]
Spot = tuple[float, float, float]

MARGIN: Final = 20.0
ORIGIN: Final[Point] = (92.0, 452.0)
"""Of the axes on the sheet, in units: where the worst of everything would stand."""
RIGHT: Final[Point] = (262.0, 0.0)
DEPTH: Final[Point] = (136.0, -112.0)
UP: Final[Point] = (0.0, -262.0)
"""From the worst to the best end of coverage, speed and quality."""
HEIGHT: Final = 540.0
LEGEND: Final = 526.0
"""Left edge of the list of models."""
MARK: Final = 15.0
LABEL: Final = 140.0
"""Units across the longest name beside a mark."""
LINE: Final = 15.0


def draw_trilemma(group: Group, quality: str = "fid", coverage: str = "recall", theme: Theme = "light") -> torch.Tensor:
    """The picture, float32 [1, H, W, 3], 0..1, of one group; its size is the same for all groups of up to 12 models.

    Every axis leads from the worse to the better, so better models stand further up, right and back; see
    `trilemma.trilemma` for the scales. A stem joins each mark to its shadow on the floor. Filled marks are on the
    Pareto front, and the sheet between them is straight from mark to mark; hollow marks are beaten: another model is as
    good on all three axes and better on one.
    """
    return write_trilemma(group, quality, coverage, theme).image()


def write_trilemma(group: Group, quality: str, coverage: str, theme: Theme) -> Sheet:
    """The sheet of `draw_trilemma`."""
    found = trilemma(group, quality, coverage)
    sheet = Sheet(theme, HEIGHT)
    sheet.text(MARGIN, 28, "Trilemma: quality, coverage, speed", LARGE, weight="bold")
    for line, text in enumerate(sheet.wrapped(group.heading, WIDTH - 2 * MARGIN, SMALL)):
        sheet.text(MARGIN, 50 + line * LINE, text, SMALL, sheet.ink.dim)
    if found.places:
        _room(sheet, found.axes)
        _front(sheet, [place for place in found.places if place.front])
        _marks(sheet, found.places)
    else:
        names = [METRICS[key].name_by(group.extractor) for key in (quality, coverage)]
        text = f"No model has all three: {names[0]}, {names[1]} and seconds per image."
        sheet.text(WIDTH / 2, HEIGHT / 2, text, NORMAL, sheet.ink.dim, ha="center")
    _legend(sheet, found, group.extractor)
    return sheet


def _at(spot: Sequence[float]) -> Point:
    """Where (quality, coverage, speed), 0..1 each, is on the sheet."""
    q, c, s = spot
    x, y = (o + q * u + c * r + s * d for o, u, r, d in zip(ORIGIN, UP, RIGHT, DEPTH, strict=True))
    return x, y


def _room(sheet: Sheet, axes: Sequence[Axis]) -> None:
    """Floor and two walls with their grids, ticks and titles."""
    quality, coverage, speed = axes
    faint, ink = sheet.ink.line, sheet.ink.dim
    sheet.shape([_at(spot) for spot in ((0, 0, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1))], sheet.ink.band, zorder=0)
    for tick in quality.ticks:
        q = quality.position(tick)
        sheet.line([_at((q, 0, 0)), _at((q, 0, 1)), _at((q, 1, 1))], faint, 0.8, zorder=1)
        x, y = _at((q, 0, 0))
        sheet.text(x - 7, y, f"{tick:,g}", SMALL, ink, ha="right")
    for tick in coverage.ticks:
        c = coverage.position(tick)
        sheet.line([_at((0, c, 0)), _at((0, c, 1)), _at((1, c, 1))], faint, 0.8, zorder=1)
        x, y = _at((0, c, 0))
        sheet.text(x, y + 13, f"{tick:,g}", SMALL, ink, ha="center")
    for tick in speed.ticks:
        s = speed.position(tick)
        sheet.line([_at((0, 1, s)), _at((0, 0, s)), _at((1, 0, s))], faint, 0.8, zorder=1)
        x, y = _at((0, 1, s))
        sheet.text(x + 8, y + 3, f"{tick:,g}", SMALL, ink, ha="left")
    for end in ((1, 0, 0), (0, 1, 0)):
        sheet.line([_at((0, 0, 0)), _at(end)], ink, 1.4, zorder=2)
    sheet.line([_at((0, 1, 0)), _at((0, 1, 1))], ink, 1.4, zorder=2)
    _titles(sheet, axes)


def _titles(sheet: Sheet, axes: Sequence[Axis]) -> None:
    quality, coverage, speed = axes
    x, y = _at((0.5, 0, 0))
    how = {"rotation": 90, "ha": "center", "rotation_mode": "anchor"}
    sheet.text(x - 60, y, "quality →", NORMAL, weight="bold", **how)
    name = sheet.shortened(_told(quality), -UP[1] + 50, SMALL)
    sheet.text(x - 44, y, name, SMALL, sheet.ink.dim, **how)
    x, y = _at((0, 0.5, 0))
    sheet.text(x, y + 32, "coverage →", NORMAL, weight="bold", ha="center")
    sheet.text(x, y + 48, sheet.shortened(_told(coverage), RIGHT[0] + 80, SMALL), SMALL, sheet.ink.dim, ha="center")
    x, y = _at((0, 1, 0.5))
    angle = math.degrees(math.atan2(-DEPTH[1], DEPTH[0]))
    how = {"rotation": angle, "ha": "center", "rotation_mode": "anchor"}
    sheet.text(x + 34, y + 22, "speed →", NORMAL, weight="bold", **how)
    sheet.text(x + 44, y + 34, _told(speed), SMALL, sheet.ink.dim, **how)


def _told(axis: Axis) -> str:
    """What an axis shows, its extractor left to the heading of the picture where it is long."""
    less = ", less is better" if axis.better == "lower" else ""
    return f"{axis.label}{less}{', log' if axis.logarithmic else ''}"


def _front(sheet: Sheet, places: Sequence[Place]) -> None:
    """The sheet between the models of the front: triangles over their places on the floor, or a line."""
    spots = [place.position for place in places]
    for triangle in _triangles([spot[1:] for spot in spots]):
        sheet.shape([_at(spots[i]) for i in triangle], sheet.ink.ink, alpha=0.09, zorder=3)
    for one, other in _edges([spot[1:] for spot in spots]):
        sheet.line([_at(spots[one]), _at(spots[other])], sheet.ink.ink, 1.3, alpha=0.6, zorder=3, linestyle=(0, (4, 2)))


def _triangles(floor: Sequence[Point]) -> list[tuple[int, int, int]]:
    """Delaunay's triangles: those whose circle holds no other point. None where all points are on a line."""
    found = []
    for corners in combinations(range(len(floor)), 3):
        circle = _circle(*(floor[i] for i in corners))
        if circle is None:
            continue
        (x, y), square = circle
        others = (point for i, point in enumerate(floor) if i not in corners)
        if all((px - x) ** 2 + (py - y) ** 2 >= square * (1 - 1e-9) for px, py in others):
            found.append(corners)
    return found


def _edges(floor: Sequence[Point]) -> list[tuple[int, int]]:
    """Sides of the triangles; from point to point along the line where there are none."""
    triangles = _triangles(floor)
    if triangles:
        return sorted({side for corners in triangles for side in combinations(corners, 2)})
    order = sorted(range(len(floor)), key=floor.__getitem__)
    return list(pairwise(order))


def _circle(a: Point, b: Point, c: Point) -> tuple[Point, float] | None:
    """Centre and squared radius of the circle through three points; None for points on a line."""
    (bx, by), (cx, cy) = ((point[0] - a[0], point[1] - a[1]) for point in (b, c))
    twice = 2 * (bx * cy - by * cx)
    if abs(twice) < 1e-6:
        return None
    x = (cy * (bx**2 + by**2) - by * (cx**2 + cy**2)) / twice
    y = (bx * (cx**2 + cy**2) - cx * (bx**2 + by**2)) / twice
    return (a[0] + x, a[1] + y), x**2 + y**2


def _marks(sheet: Sheet, places: Sequence[Place]) -> None:
    """Stems, shadows and marks, the farthest first, then the models' labels."""
    far_first = sorted(places, key=lambda place: -place.position[2])
    for order, place in enumerate(far_first):
        top, foot = _at(place.position), _at((0, *place.position[1:]))
        colour = colour_of(place.number)
        sheet.line([top, foot], colour, 1.6, zorder=4, alpha=0.8)
        sheet.mark(*foot, place.number, 5, zorder=4)
        sheet.mark(*top, place.number, MARK, hollow=not place.front, zorder=5 + order / 100)
    taken = [_square(_at(place.position), MARK) for place in places]
    for place in far_first:
        _label(sheet, place, taken)


Box = tuple[float, float, float, float]


def _label(sheet: Sheet, place: Place, taken: list[Box]) -> None:
    """The model's name beside its mark, where it covers least of the others; a thin line where it is further off."""
    text = sheet.shortened(place.name, LABEL, SMALL, "bold")
    width = sheet.width_of(text, SMALL, "bold")
    x, y = _at(place.position)
    choices = []
    for step, away in enumerate((13.0, 26.0, 40.0)):
        for turn, (dx, dy) in enumerate(((0, -1), (1, -0.7), (-1, -0.7), (1, 0), (-1, 0), (1, 0.7), (-1, 0.7), (0, 1))):
            left = x + dx * away - (width if dx < 0 else 0 if dx > 0 else width / 2)
            top = y + dy * (away + 2) - 7
            box = (left, top, left + width, top + 14)
            outside = max(0.0, MARGIN - left) + max(0.0, left + width - LEGEND + 8)
            cost = sum(_overlap(box, other) for other in taken) + 40 * outside + 12 * step + turn
            choices.append((cost, away, box))
    _, away, box = min(choices)
    if away > 13:
        edge = (min(max(x, box[0]), box[2]), min(max(y, box[1]), box[3]))
        sheet.line([(x, y), edge], sheet.ink.dim, 0.8, zorder=4.5)
    taken.append(box)
    sheet.text(box[0], (box[1] + box[3]) / 2, text, SMALL, weight="bold", zorder=9, halo=True)


def _square(point: Point, side: float) -> Box:
    x, y = point
    return (x - side / 2, y - side / 2, x + side / 2, y + side / 2)


def _overlap(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, width) * max(0.0, height)


def _legend(sheet: Sheet, found: Trilemma, extractor: str) -> None:
    """Every model with its three values, the front first; then who is not drawn, and why."""
    y = 84.0
    room = WIDTH - MARGIN - LEGEND - 20
    for front, title in ((True, "on the Pareto front"), (False, "beaten by another")):
        places = [place for place in found.places if place.front == front]
        if not places:
            continue
        sheet.text(LEGEND, y, title, SMALL, sheet.ink.dim)
        y += 19
        for place in places:
            sheet.mark(LEGEND + 6, y, place.number, 11, hollow=not front)
            sheet.text(LEGEND + 20, y, sheet.shortened(place.name, room, NORMAL, "bold"), NORMAL, weight="bold")
            values = [number(axis.key, v) for axis, v in zip(found.axes, place.values, strict=True)]
            names = [METRICS[axis.key].name_by(extractor) for axis in found.axes[:2]]
            told = f"{names[0]} {values[0]} · {names[1]} {values[1]} · {values[2]}/s"
            sheet.text(LEGEND + 20, y + 14, sheet.shortened(told, room, SMALL), SMALL, sheet.ink.dim)
            y += 33
        y += 6
    for name, lacks in found.missing:
        sheet.text(LEGEND, y, sheet.shortened(f"{name}: no {lacks}", room + 20, SMALL), SMALL, sheet.ink.dim)
        y += LINE
