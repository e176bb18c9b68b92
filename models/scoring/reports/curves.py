"""The trade-off curves of a sweep as pictures: one score against another, a mark for each value, the knee marked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import torch

from ...pictures.grids import Theme
from ..benchmark.sweep import CURVES, Axes, Sweep, points
from ..metric import METRICS, by_extractor
from ..scores import extractor_of
from .canvas import LARGE, NORMAL, SMALL, WIDTH, Sheet, colour_of

HEIGHT: Final = 576.0
LEFT, RIGHT, TOP, BOTTOM = 92.0, 740.0, 96.0, 492.0
"""Edges of the plot on the sheet, in units."""
MARGIN: Final = 20.0
ROOM: Final = 0.08
"""Empty share at the ends of an axis."""
LINES: Final[dict[Theme, int]] = {"light": 4, "dark": 1}
"""Colour of the curve, by its number in the palette: the blue that stands out from the paper."""
KNEE: Final = 0
MARK, RING = 12.0, 26.0

Scale = Callable[[float], float]


def draw_curves(found: Sweep, theme: Theme = "light") -> torch.Tensor:
    """The curves of sweep.CURVES in their order, float32 [3, H, W, 3], 0..1."""
    return torch.cat([write_curve(found, name, theme).image() for name in CURVES])


def write_curve(found: Sweep, name: str, theme: Theme) -> Sheet:
    """The sheet of one curve. FID has its interval as a bar, where it has one."""
    axes, sheet, line = CURVES[name], Sheet(theme, HEIGHT), LINES[theme]
    first = found.scores[0]
    extractor = extractor_of(first)
    architecture = first.provenance["generator"]["architecture"]
    sheet.text(MARGIN, 28, f"{found.option}: {by_extractor(name, extractor)}", LARGE, weight="bold")
    told = (
        f"{architecture}, {first.provenance['samples']:,} samples each, {extractor}, resize "
        + (first.provenance["extractor"]["resize"])
    )
    sheet.text(MARGIN, 54, sheet.shortened(told, WIDTH - 2 * MARGIN, SMALL), SMALL, sheet.ink.dim)
    curve = points(found.scores, axes)
    finite = [place for place, point in enumerate(curve) if all(map(math.isfinite, point))]
    if not finite:
        text = f"No value has both: {METRICS[axes.x].label_by(extractor)} and {METRICS[axes.y].label_by(extractor)}."
        sheet.text(WIDTH / 2, HEIGHT / 2, text, NORMAL, sheet.ink.dim, ha="center")
        return sheet
    intervals = [_interval(found, place, axes) for place in finite]
    x = _across(sheet, [curve[place][0] for place in finite], _title(axes.x, extractor))
    y = _upwards(sheet, [end for interval in intervals for end in interval], _title(axes.y, extractor))
    for place, (low, high) in zip(finite, intervals, strict=True):
        sheet.line([(x(curve[place][0]), y(low)), (x(curve[place][0]), y(high))], sheet.ink.dim, 1.5)
    sheet.line([(x(curve[place][0]), y(curve[place][1])) for place in finite], colour_of(line), 2.5)
    knee = found.knees[name]
    if knee is not None:
        sheet.mark(x(curve[knee][0]), y(curve[knee][1]), KNEE, RING, zorder=3)
    for place in finite:
        at = x(curve[place][0]), y(curve[place][1])
        sheet.mark(*at, line, MARK)
        _label(sheet, at, f"{'knee: ' if place == knee else ''}{found.values[place]:g}", place == knee)
    if knee is None:
        sheet.text(RIGHT, TOP - 14, "no knee", SMALL, sheet.ink.dim, ha="right")
    return sheet


def _interval(found: Sweep, place: int, axes: Axes) -> tuple[float, float]:
    """Ends of the interval of what stands upwards; twice the value where it has none."""
    score = found.scores[place].score(axes.y)
    return (score.value if score.low is None else score.low, score.value if score.high is None else score.high)


def _title(key: str, extractor: str) -> str:
    return f"{METRICS[key].label_by(extractor)}, {METRICS[key].better} is better"


def _across(sheet: Sheet, values: Sequence[float], title: str) -> Scale:
    scale, ticks = _axis(values, LEFT, RIGHT)
    for tick in ticks:
        sheet.line([(scale(tick), TOP), (scale(tick), BOTTOM)], sheet.ink.line)
        sheet.text(scale(tick), BOTTOM + 18, f"{tick:g}", NORMAL, sheet.ink.dim, ha="center")
    sheet.text((LEFT + RIGHT) / 2, BOTTOM + 48, title, NORMAL, ha="center")
    return scale


def _upwards(sheet: Sheet, values: Sequence[float], title: str) -> Scale:
    scale, ticks = _axis(values, BOTTOM, TOP)
    for tick in ticks:
        sheet.line([(LEFT, scale(tick)), (RIGHT, scale(tick))], sheet.ink.line)
        sheet.text(LEFT - 8, scale(tick), f"{tick:g}", NORMAL, sheet.ink.dim, ha="right")
    sheet.text(MARGIN, (TOP + BOTTOM) / 2, title, NORMAL, rotation=90, ha="center")
    return scale


def _axis(values: Sequence[float], start: float, end: float) -> tuple[Scale, list[float]]:
    """Where values stand on the sheet, and round ones between the ends."""
    from matplotlib.ticker import MaxNLocator

    low, high = min(values), max(values)
    room = (high - low) * ROOM or abs(high) * ROOM or 1.0
    low, high = low - room, high + room

    def scale(value: float) -> float:
        return start + (value - low) / (high - low) * (end - start)

    found = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high)
    return scale, [round(float(tick), 12) for tick in found if low <= tick <= high]


def _label(sheet: Sheet, at: tuple[float, float], text: str, bold: bool) -> None:
    """Beside a mark, on the side where there is room."""
    right = at[0] + 14 + sheet.width_of(text, NORMAL, "bold") < RIGHT
    side = {"ha": "left"} if right else {"ha": "right"}
    reach = (RING if bold else MARK) / 2 + 5
    x = at[0] + reach if right else at[0] - reach
    sheet.text(x, at[1] - 12, text, NORMAL, halo=True, weight="bold" if bold else "normal", zorder=6, **side)
