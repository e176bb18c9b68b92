"""Batches of images as one picture: rows and columns with labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import zip_longest
from typing import Final, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont

from ..errors import BadInput
from .drawing import load_font
from .images import rgb
from .resizing import Fit, centred, enlarge, fit

Theme = Literal["light", "dark"]
THEMES: Final[dict[Theme, tuple[float, float]]] = {"light": (1.0, 0.0), "dark": (0.0, 1.0)}
"""Brightness of the background and of the text."""

SMALL_CELL: Final = 128
"""Automatic cells are enlarged by a whole factor as long as their longer side stays within this, in pixels."""
MAX_SIDE: Final = 16384
"""Side in pixels of the largest image that ComfyUI makes."""
TEXT_SHARE: Final = 1 / 8
"""Height of the text, of a cell's shorter side."""
MIN_TEXT: Final = 14
MAX_TEXT: Final = 32
LABEL_CELLS: Final = 2
"""Row labels are broken where they would be wider than so many cells."""


class Row(NamedTuple):
    """Images [N, H, W, 3 or 4], 0..1, under one label; empty text for none. Alpha is ignored."""

    label: str
    images: torch.Tensor


def grid(
    rows: Sequence[Row],
    column_labels: Sequence[str] = (),
    columns: int = 0,
    cell_size: int = 0,
    how: Fit = "pad",
    gap: int = 4,
    theme: Theme = "light",
) -> torch.Tensor:
    """One picture, float32 [1, H, W, 3], 0..1, of all rows from top to bottom.

    column_labels: of the first columns, from the left; empty text for none.
    columns: rows with more images go on in a further line; 0 takes the longest row's number, and for a single row
    what makes the grid square.
    cell_size: longer side of a cell, pixels; 0 takes the largest image's, enlarged by a whole factor while small.
    how: what happens to images that no whole factor enlarges to their cell (`resizing.py`); "pad" then enlarges by
    the largest whole factor, or shrinks.
    gap: between cells and around them, pixels.

    Raises:
        BadInput: no rows, images that are none, more column labels than columns, or a result that is too large.
    """
    if not rows:
        raise BadInput("images: nothing is connected; connect at least one of images_1 to images_12.")
    batches = [rgb(row.images, f"images {row.label or number}").cpu() for number, row in enumerate(rows, 1)]
    longest = max(map(len, batches))
    columns = min(longest, columns or (math.ceil(math.sqrt(longest)) if len(rows) == 1 else longest))
    if len(column_labels) > columns:
        raise BadInput(f"column_labels: {len(column_labels)} lines for {columns} columns; take the last ones away.")
    height, width = _cell(batches, cell_size)
    lines = sum(math.ceil(len(batch) / columns) for batch in batches)
    if max(lines * (height + gap), columns * (width + gap)) > MAX_SIDE:
        raise BadInput(
            f"images: {columns} x {lines} cells of {width} x {height} pixels are more than {MAX_SIDE} each way; set a "
            "smaller cell_size, or another number of columns."
        )
    background = THEMES[theme][0]
    font = load_font(min(MAX_TEXT, max(MIN_TEXT, round(min(height, width) * TEXT_SHARE))))
    table = []
    if any(column_labels):
        table.append([_text(label, font, width, theme) for label in ("", *column_labels)])
    for row, batch in zip(rows, batches, strict=True):
        cells = [_fitted(image.clamp(0, 1), height, width, how, background) for image in batch]
        for start in range(0, len(cells), columns):
            label = "" if start else row.label
            table.append([_text(label, font, LABEL_CELLS * width, theme), *cells[start : start + columns]])
    if not any(row.label for row in rows):
        table = [line[1:] for line in table]
    return _joined(table, gap, background)[None]


def _cell(batches: Sequence[torch.Tensor], cell_size: int) -> tuple[int, int]:
    height = max(batch.shape[1] for batch in batches)
    width = max(batch.shape[2] for batch in batches)
    longer = max(height, width)
    if cell_size:
        return max(1, round(height * cell_size / longer)), max(1, round(width * cell_size / longer))
    factor = max(1, SMALL_CELL // longer)
    return height * factor, width * factor


def _fitted(image: torch.Tensor, height: int, width: int, how: Fit, background: float) -> torch.Tensor:
    factor = min(height // image.shape[0], width // image.shape[1])
    exact = (image.shape[0] * factor, image.shape[1] * factor) == (height, width)
    if factor and (exact or how == "pad"):
        return centred(enlarge(image, factor), height, width, background)
    return fit(image, height, width, how, background)


def _text(text: str, font: ImageFont.FreeTypeFont, width: int, theme: Theme) -> torch.Tensor:
    """A picture [h, w, 3] of the text, broken between words where it would be wider than `width`.

    A single longer word stays whole, so that nothing is cut off.
    """
    if not text:
        return torch.empty(0, 0, 3)
    pen = ImageDraw.Draw(Image.new("L", (1, 1)))
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if not lines[-1] or pen.textlength(longer, font) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    broken = "\n".join(lines)
    left, _, right, _ = pen.multiline_textbbox((0, 0), broken, font, align="center")
    # As high as the highest and deepest letters, so that labels side by side stand on one line.
    _, top, _, bottom = pen.multiline_textbbox((0, 0), "\n".join("|g" for _ in lines), font)
    margin = round(font.size / 3)
    layer = Image.new("L", (math.ceil(right - left) + 2 * margin, math.ceil(bottom - top)))
    ImageDraw.Draw(layer).multiline_text((margin - left, -top), broken, 255, font, align="center")
    share = torch.from_numpy(np.asarray(layer, dtype=np.float32)[..., None] / 255)
    background, ink = THEMES[theme]
    return torch.lerp(torch.tensor(background), torch.tensor(ink), share).expand(-1, -1, 3)


def _joined(table: Sequence[Sequence[torch.Tensor]], gap: int, background: float) -> torch.Tensor:
    """Pictures [h, w, 3] in lines and columns, each in the middle of its place, gaps between and around them."""
    widths = [max(block.shape[1] for block in column if block is not None) for column in zip_longest(*table)]
    joined = []
    for line in table:
        height = max(block.shape[0] for block in line)
        blank = torch.empty(0, 0, 3)
        filled = [*line, *[blank] * (len(widths) - len(line))]
        blocks = [centred(block, height, width, background) for block, width in zip(filled, widths, strict=True)]
        joined.append(torch.cat([F.pad(block, (0, 0, gap, 0, gap, 0), value=background) for block in blocks], dim=1))
    return F.pad(torch.cat(joined), (0, 0, 0, gap, 0, gap), value=background)
