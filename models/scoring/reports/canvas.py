"""A sheet of paper for pictures of scores: matplotlib without its global state, in units of a node's pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import torch

from ...pictures.drawing import PALETTE
from ...pictures.grids import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH: Final = 768
"""Units across a sheet: pixels at the size at which a node shows it."""
SCALE: Final = 2
"""Pixels of the picture to a unit."""
_INCH: Final = 100
SMALL: Final = 11.0
"""Size in units of the smallest letters."""
NORMAL: Final = 12.5
LARGE: Final = 17.0


class Ink(NamedTuple):
    """Colours of a theme. paper, ink: background and text. dim: lesser text. line: of grids. band: of rows."""

    paper: str
    ink: str
    dim: str
    line: str
    band: str


INKS: Final[dict[Theme, Ink]] = {
    "light": Ink("#ffffff", "#16191d", "#57606a", "#d3d9df", "#f4f6f8"),
    "dark": Ink("#14171b", "#eef1f4", "#a3adb8", "#3b434c", "#1c2126"),
}


class Sheet:
    """A page WIDTH units wide; x to the right, y downwards, both in units."""

    def __init__(self, theme: Theme, height: float = WIDTH) -> None:
        """height: in units; `cut` changes it."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.ink = INKS[theme]
        self._figure: Figure = Figure(dpi=_INCH * SCALE, facecolor=self.ink.paper)
        self._canvas = FigureCanvasAgg(self._figure)
        self._axes: Axes = self._figure.add_axes((0, 0, 1, 1))
        self._axes.set_autoscale_on(False)
        self._axes.axis("off")
        self._widths: dict[tuple[str, float, str], float] = {}
        self.cut(height)
        self.texts: list[str] = []
        """Every text in the order in which it was written."""

    def cut(self, height: float) -> None:
        """Make the page so many units high; what was written stays where it is, from the top."""
        self.height = round(height)
        self._figure.set_size_inches(WIDTH / _INCH, self.height / _INCH)
        self._axes.set_xlim(0, WIDTH)
        self._axes.set_ylim(self.height, 0)

    def text(
        self, x: float, y: float, text: str, size: float = NORMAL, colour: str = "", halo: bool = False, **how: Any
    ) -> None:
        """Write a line. halo: with a rim of paper around the letters. how: of matplotlib's Text, such as ha, weight."""
        from matplotlib.patheffects import withStroke

        if halo:
            how["path_effects"] = [withStroke(linewidth=_points(3.5), foreground=self.ink.paper)]
        settings = {"va": "center", "parse_math": False, **how}
        self._axes.text(x, y, text, size=_points(size), color=colour or self.ink.ink, **settings)
        self.texts.append(text)

    def box(self, x: float, y: float, width: float, height: float, colour: str, **how: Any) -> None:
        """A filled rectangle. how: of matplotlib's Rectangle."""
        from matplotlib.patches import Rectangle

        self._axes.add_patch(Rectangle((x, y), width, height, facecolor=colour, **{"linewidth": 0, **how}))

    def line(self, points: list[tuple[float, float]], colour: str, width: float = 1.0, **how: Any) -> None:
        """Straight pieces through points. width: in units. how: of matplotlib's Line2D."""
        xs, ys = zip(*points, strict=True)
        self._axes.plot(xs, ys, color=colour, linewidth=_points(width), **{"solid_capstyle": "butt", **how})

    def shape(self, points: list[tuple[float, float]], colour: str, **how: Any) -> None:
        """A filled polygon. how: of matplotlib's Polygon."""
        from matplotlib.patches import Polygon

        self._axes.add_patch(Polygon(points, closed=True, facecolor=colour, **{"linewidth": 0, **how}))

    def mark(self, x: float, y: float, number: int, size: float, hollow: bool = False, zorder: float = 5) -> None:
        """The mark of model `number`: one of seven colours, of another shape from the eighth on. size: in units."""
        shape = MARKS[number // len(PALETTE) % len(MARKS)]
        face = self.ink.paper if hollow else colour_of(number)
        edge = colour_of(number) if hollow else self.ink.ink
        self._axes.plot(
            [x],
            [y],
            marker=shape,
            markersize=_points(size),
            color=face,
            markeredgecolor=edge,
            markeredgewidth=_points(3.0 if hollow else 1.2),
            zorder=zorder,
            linestyle="none",
        )

    def width_of(self, text: str, size: float = NORMAL, weight: str = "normal") -> float:
        """How many units wide a line would be."""
        key = (text, size, weight)
        if key not in self._widths:
            self._widths[key] = self._measured(*key)
        return self._widths[key]

    def _measured(self, text: str, size: float, weight: str) -> float:
        from matplotlib.font_manager import FontProperties

        font = FontProperties(size=_points(size), weight=weight)
        return self._canvas.get_renderer().get_text_width_height_descent(text, font, False)[0] / SCALE

    def wrapped(self, text: str, width: float, size: float = NORMAL, weight: str = "normal") -> list[str]:
        """Lines of a text, broken between words where they would be wider."""
        lines = [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and self.width_of(longer, size, weight) > width:
                lines.append(word)
            else:
                lines[-1] = longer
        return lines

    def shortened(self, text: str, width: float, size: float = NORMAL, weight: str = "normal") -> str:
        """A text of at most so many units, with an ellipsis in the middle where it would be wider."""
        if self.width_of(text, size, weight) <= width:
            return text
        fits, too_many = 0, len(text)
        while too_many - fits > 1:
            middle = (fits + too_many) // 2
            if self.width_of(_cut(text, middle), size, weight) <= width:
                fits = middle
            else:
                too_many = middle
        return _cut(text, fits)

    def image(self) -> torch.Tensor:
        """The picture, float32 [1, H, W, 3], 0..1."""
        self._canvas.draw()
        pixels = np.asarray(self._canvas.buffer_rgba())[..., :3]
        return torch.from_numpy(pixels.astype(np.float32) / 255)[None]


MARKS: Final = ("o", "s", "D")


def colour_of(number: int) -> str:
    """Of a model, as matplotlib writes it."""
    return "#{:02x}{:02x}{:02x}".format(*PALETTE[number % len(PALETTE)])


def _points(units: float) -> float:
    """Of a length in units: matplotlib counts in points, of which an inch has 72."""
    return units * 72 / _INCH


def _cut(text: str, length: int) -> str:
    """The text's beginning and end, with `length` letters in all and an ellipsis between."""
    tail = length * 2 // 5
    return text[: length - tail].rstrip() + "…" + text[len(text) - tail :].lstrip()
