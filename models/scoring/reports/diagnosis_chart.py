"""A diagnosis as a picture: bars of latent numbers, of classes, and of distances to the reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import torch

from ...pictures.grids import Theme
from ..diagnosis.failures import ACTIVE, COPY, Activity, ClassCounts, Diagnosis
from .canvas import LARGE, NORMAL, SMALL, WIDTH, Sheet, colour_of

MARGIN: Final = 20.0
LEFT: Final = 74.0
PLOT: Final = 150.0
"""Height of a panel's bars."""
PANEL: Final = PLOT + 92.0
TITLE: Final = 46.0
OURS, THEIRS, WRONG = colour_of(4), colour_of(0), colour_of(5)
"""Colours of samples, reference pictures, and what is wrong: blue, orange, vermillion."""
BINS: Final = 40
FARTHEST: Final = 0.95
"""Share of the samples that lie within the axis of ratios; the others are counted at its right end."""
WIDEST: Final = 10
"""The axis never goes further."""


def draw_chart(found: Diagnosis, name: str, theme: Theme = "light") -> torch.Tensor:
    """The picture, float32 [1, H, W, 3], 0..1: a panel for each failure that was looked for and has bars."""
    panels = 1 + (found.activity is not None) + (found.classes is not None)
    sheet = Sheet(theme, TITLE + panels * PANEL + 6)
    title = sheet.shortened(f"Diagnosis of {name}", WIDTH - 2 * MARGIN, LARGE, "bold")
    sheet.text(MARGIN, 28, title, LARGE, weight="bold")
    top = TITLE
    if found.activity is not None:
        _units(sheet, found.activity, top)
        top += PANEL
    if found.classes is not None:
        _classes(sheet, found.classes, top)
        top += PANEL
    _ratios(sheet, found.ratios, top)
    return sheet.image()


def _units(sheet: Sheet, activity: Activity, top: float) -> None:
    """Divergences of latent numbers, the largest first, those that are not active in another colour."""
    order = activity.divergence.argsort(descending=True)
    heights, active = activity.divergence[order], activity.active[order]
    count, size = int(active.sum()), len(active)
    _heading(sheet, top, f"Active units: {count} of {size}", "divergence from the prior in nats, latent numbers sorted")
    _key(sheet, top, [("active", OURS), (f"variance of the mean up to {ACTIVE:g}", WRONG)])
    high = max(float(heights.max()), 0.1)
    _frame(sheet, top, high, [(0.0, "1"), (1.0, f"{size:,}")], "latent number")
    _bars(sheet, top, heights * active / high, OURS)
    _bars(sheet, top, heights * ~active / high, WRONG, at_least=2.0, where=~active)


def _classes(sheet: Sheet, classes: ClassCounts, top: float) -> None:
    """Shares of the classes, those that the reference has most of first; its own as a line."""
    order = classes.reference.argsort(descending=True, stable=True)
    ours, theirs = (counts[order].double() / counts.sum() for counts in classes)
    _heading(sheet, top, "Classes", "share of the pictures, the reference's most frequent first")
    _key(sheet, top, [("samples", OURS), ("reference", THEIRS)])
    high = float(torch.cat([ours, theirs]).max())
    ticks = [(0.0, "1"), (1.0, f"{len(order):,}")]
    _frame(sheet, top, high, ticks, "class, by its place in the reference", percent=True)
    _bars(sheet, top, ours / high, OURS)
    steps = [point for place, share in enumerate(theirs / high) for point in ((place, share), (place + 1, share))]
    width = (WIDTH - MARGIN - LEFT) / len(order)
    floor = top + 52 + PLOT
    sheet.line([(LEFT + place * width, floor - float(share) * PLOT) for place, share in steps], THEIRS, 2.0, zorder=4)


def _ratios(sheet: Sheet, ratios: torch.Tensor, top: float) -> None:
    """Histogram of the samples' distances to their nearest reference picture."""
    widest = min(WIDEST, max(2, math.ceil(float(ratios.quantile(FARTHEST)))))
    counts = torch.histc(ratios.clamp(max=widest * (1 - 1e-9)), BINS, 0, widest) / len(ratios)
    _heading(sheet, top, "Nearest reference picture", "distance of a sample to it, over its own distance to the next")
    _key(sheet, top, [("samples", OURS), (f"below {COPY:.2f}: a copy", WRONG)])
    high = float(counts.max())
    ticks = [(share, f"{'≥ ' if share == 1 else ''}{share * widest:g}") for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    _frame(sheet, top, high, ticks, "ratio of distances", percent=True)
    copies = (torch.arange(BINS) + 0.5) * widest / BINS < COPY
    _bars(sheet, top, counts * ~copies / high, OURS)
    _bars(sheet, top, counts * copies / high, WRONG)
    x = LEFT + COPY / widest * (WIDTH - MARGIN - LEFT)
    sheet.line([(x, top + 52), (x, top + 52 + PLOT)], WRONG, 1.4, linestyle=(0, (4, 2)), zorder=4)


def _heading(sheet: Sheet, top: float, title: str, told: str) -> None:
    sheet.text(MARGIN, top + 16, title, NORMAL + 1.5, weight="bold")
    sheet.text(MARGIN, top + 34, told, SMALL, sheet.ink.dim)


def _key(sheet: Sheet, top: float, entries: Sequence[tuple[str, str]]) -> None:
    x = WIDTH - MARGIN
    for text, colour in reversed(entries):
        sheet.text(x, top + 16, text, SMALL, sheet.ink.dim, ha="right")
        x -= sheet.width_of(text, SMALL) + 16
        sheet.box(x, top + 11, 11, 11, colour)
        x -= 14


def _frame(
    sheet: Sheet, top: float, high: float, ticks: Sequence[tuple[float, str]], title: str, percent: bool = False
) -> None:
    """Lines at the floor, half and full height with their values; ticks below, at 0..1 of the width."""
    right, floor = WIDTH - MARGIN, top + 52 + PLOT
    for share in (0.0, 0.5, 1.0):
        y = floor - share * PLOT
        sheet.line([(LEFT, y), (right, y)], sheet.ink.line, 0.8, zorder=1)
        label = f"{100 * share * high:.3g} %" if percent else f"{share * high:.3g}"
        sheet.text(LEFT - 8, y, label, SMALL, sheet.ink.dim, ha="right")
    for share, label in ticks:
        side = {0.0: "left", 1.0: "right"}.get(share, "center")
        sheet.text(LEFT + share * (right - LEFT), floor + 13, label, SMALL, sheet.ink.dim, ha=side)
    sheet.text((LEFT + right) / 2, floor + 27, title, SMALL, sheet.ink.dim, ha="center")


def _bars(
    sheet: Sheet,
    top: float,
    shares: torch.Tensor,
    colour: str,
    at_least: float = 0.0,
    where: torch.Tensor | None = None,
) -> None:
    """Bars of 0..1 of the panel's height, side by side; a gap between them where there is room for it.

    at_least: units, height of the bars chosen by `where`, bool, however small they are.
    """
    width = (WIDTH - MARGIN - LEFT) / len(shares)
    gap = 0.15 * width if width > 3 else 0.0
    floor = top + 52 + PLOT
    outline = [(LEFT, floor)]
    for place, share in enumerate(shares.tolist()):
        least = at_least if where is not None and where[place] else 0.0
        left, right, y = LEFT + place * width + gap, LEFT + (place + 1) * width - gap, floor - max(share * PLOT, least)
        outline += [(left, floor), (left, y), (right, y), (right, floor)]
    sheet.shape(outline, colour, zorder=2)
