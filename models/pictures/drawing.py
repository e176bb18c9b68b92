"""Draws what was found: boxes with labels, and masks, readable on any background and without colour vision."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, cast

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from ..errors import BadInput
from ..values import Objects
from . import packed
from .boxes import Box, clipped, per_image
from .images import check_images

PALETTE: Final = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
"""Okabe and Ito's colours (jfly.uni-koeln.de/color), which people with any colour vision tell apart; black is the
outline's."""

BLACK: Final = (0, 0, 0)
WHITE: Final = (255, 255, 255)
LINE_SHARE: Final = 1 / 250
"""Width of a line, of the image's shorter side."""
TEXT_SHARE: Final = 1 / 30
MIN_TEXT: Final = 10


def draw(
    images: torch.Tensor,
    boxes: object,
    objects: Objects | None = None,
    line_width: int = 0,
    mask_opacity: float = 0.4,
    show_scores: bool = True,
) -> torch.Tensor:
    """Draw boxes, and the masks of objects, on copies of the images: float32 [B, H, W, 3 or 4], alpha as it was.

    boxes: any of the host's BOUNDING_BOX shapes, pixels. A label has one colour in the whole batch.
    line_width: in pixels; 0 follows the image's size.
    mask_opacity: of the masks, 0..1.

    Pixels on which nothing is drawn stay bit-identical.

    Raises:
        BadInput: boxes that do not fit the images, in number, form or place, or objects of other images.
    """
    images = check_images(images)
    frames, height, width = images.shape[:3]
    boxes = per_image(boxes, frames)
    boxes = [[clipped(box, height, width) for box in of_image] for of_image in boxes]
    if objects is not None and (objects.frames, objects.height, objects.width) != (frames, height, width):
        raise BadInput(
            f"objects: they belong to {objects.frames} images of {objects.width} x {objects.height} pixels, the batch "
            f"has {frames} of {width} x {height}; connect the images that were segmented."
        )
    found = [] if objects is None else objects.objects
    colours = colours_of([*(box.get("label", "") for b in boxes for box in b), *(o.label for o in found)])
    drawn = images.clone()
    for item in found:
        mask = torch.zeros(height, width, dtype=torch.bool)
        packed.paint(mask, item.mask)
        colour = torch.tensor(colours[item.label]) / 255
        frame = drawn[item.frame, ..., :3]
        frame[mask] = frame[mask] * (1 - mask_opacity) + colour.to(frame) * mask_opacity
    for frame, of_image in zip(drawn, boxes, strict=True):
        if of_image:
            _blend(frame[..., :3], _overlay(of_image, colours, height, width, line_width, show_scores))
    return drawn


def colours_of(labels: Iterable[str]) -> dict[str, tuple[int, int, int]]:
    """A colour of the palette for each different label, in order of appearance; beyond seven they come again."""
    unique = dict.fromkeys(labels)
    return {label: PALETTE[index % len(PALETTE)] for index, label in enumerate(unique)}


def _blend(frame: torch.Tensor, overlay: Image.Image) -> None:
    layer = torch.from_numpy(np.asarray(overlay).copy()).to(frame) / 255
    drawn = layer[..., 3] > 0
    alpha = layer[..., 3:][drawn]
    frame[drawn] = frame[drawn] * (1 - alpha) + layer[..., :3][drawn] * alpha


def _overlay(
    boxes: list[Box],
    colours: dict[str, tuple[int, int, int]],
    height: int,
    width: int,
    line_width: int,
    show_scores: bool,
) -> Image.Image:
    layer = Image.new("RGBA", (width, height))
    pen = ImageDraw.Draw(layer)
    line = line_width or max(1, round(min(height, width) * LINE_SHARE))
    font = load_font(max(MIN_TEXT, round(min(height, width) * TEXT_SHARE)))
    for box in boxes:
        _draw_frame(pen, box, colours[box.get("label", "")], line)
    for box in boxes:
        text = caption(box, show_scores)
        if text:
            _draw_caption(pen, box, text, colours[box.get("label", "")], font, line, width)
    return layer


def load_font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own typeface, in pixels."""
    return cast(ImageFont.FreeTypeFont, ImageFont.load_default(size))  # a bitmap only where no size is asked for


def caption(box: Box, show_scores: bool) -> str:
    """The text beside a box: its label and its score, as far as it has them."""
    score = f"{box['score']:.2f}" if show_scores and "score" in box else ""
    return f"{box.get('label', '')} {score}".strip()


def _draw_frame(pen: ImageDraw.ImageDraw, box: Box, colour: tuple[int, int, int], line: int) -> None:
    """A coloured line between two black ones: one of the three stands out from whatever lies behind."""
    left, top = round(box["x"]), round(box["y"])
    right = max(left, round(box["x"] + box["width"]) - 1)
    bottom = max(top, round(box["y"] + box["height"]) - 1)
    edge = max(1, line // 2)
    widest = line + 2 * edge
    pen.rectangle((left - edge, top - edge, right + edge, bottom + edge), outline=(*BLACK, 255), width=widest)
    pen.rectangle((left, top, right, bottom), outline=(*colour, 255), width=line)


def _draw_caption(
    pen: ImageDraw.ImageDraw,
    box: Box,
    text: str,
    colour: tuple[int, int, int],
    font: ImageFont.FreeTypeFont,
    line: int,
    image_width: int,
) -> None:
    """The text on a plate of its colour with a black rim, above the box, or inside where there is no room above."""
    pad = line + 1
    text_left, text_top, text_right, text_bottom = pen.textbbox((0, 0), text, font=font)
    plate_width = int(text_right - text_left) + 2 * pad
    plate_height = int(text_bottom - text_top) + 2 * pad
    left = max(0, min(round(box["x"]), image_width - plate_width - 1))
    above = round(box["y"]) - plate_height - line
    top = above if above >= 0 else round(box["y"])
    plate = (left, top, left + plate_width, top + plate_height)
    pen.rectangle(plate, fill=(*colour, 255), outline=(*BLACK, 255), width=max(1, line // 2))
    origin = (left + pad - text_left, top + pad - text_top)
    pen.text(origin, text, font=font, fill=(*text_colour(colour), 255))


def text_colour(plate: tuple[int, int, int]) -> tuple[int, int, int]:
    """Black or white, whichever contrasts more with a plate."""
    return max(BLACK, WHITE, key=lambda colour: contrast(colour, plate))


def contrast(a: tuple[int, int, int], b: tuple[int, int, int]) -> float:
    """Contrast ratio 1..21 of two sRGB colours 0..255, as WCAG 2 defines it."""
    bright, dark = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(colour: tuple[int, int, int]) -> float:
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (c / 255 for c in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
