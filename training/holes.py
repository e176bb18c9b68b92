"""Inpainting examples: a picture with a hole, and a named sprite that fills the hole.

An example imitates a crop around an object: the hole covers the middle of the frame, ground and other sprites surround
it, and inside the hole there is nothing but the ground and the wanted sprite.
"""

from typing import Literal, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .scenes import Sprites, draw_ground

Shape = Literal["box", "ellipse", "silhouette", "everything"]

_SHAPES: dict[Shape, float] = {"box": 0.65, "ellipse": 0.08, "silhouette": 0.2, "everything": 0.07}
_LARGEST_STRETCH = 1.2
_LARGEST_ANGLE = 6.0


class Hole(NamedTuple):
    """One example. S pixels a side."""

    target: np.ndarray
    """uint8 [S, S, 3]: the picture to restore."""
    mask: np.ndarray
    """bool [S, S]: the hole."""
    name: str
    """What the hole holds."""


def draw_hole(rng: np.random.Generator, wanted: Sprites, others: Sprites, size: int = 64) -> Hole:
    """Draw one example; the same generator state gives the same example.

    wanted: the sprites to fill holes with; one is chosen uniformly.
    others: the sprites that may stand around the hole.
    size: pixels a side.
    """
    keys = list(wanted)
    key = keys[rng.integers(len(keys))]
    shape = rng.choice(list(_SHAPES), p=list(_SHAPES.values()))
    box = _choose_box(rng, size)
    mask = draw_mask(rng, shape, box, others, size)
    ground = _draw_ground_closeup(rng, size)
    around = _scatter(rng, ground, others)
    filled = _fill(rng, ground, wanted[key], box)
    inside = Image.fromarray(mask)
    return Hole(np.asarray(Image.composite(filled, around, inside)), mask, key[0])


def draw_mask(rng: np.random.Generator, shape: Shape, box: np.ndarray, others: Sprites, size: int) -> np.ndarray:
    """bool [size, size]: a hole of this shape that spans the box (float [4], x0 y0 x1 y1, pixels)."""
    canvas = Image.new("L", (size, size))
    corners = [round(float(side)) for side in box]
    inclusive = [corners[0], corners[1], corners[2] - 1, corners[3] - 1]
    match shape:
        case "box":
            radius = rng.choice([0.0, rng.uniform(0.0, 0.3)]) * min(box[2] - box[0], box[3] - box[1])
            ImageDraw.Draw(canvas).rounded_rectangle(inclusive, radius, fill=255)
        case "ellipse":
            ImageDraw.Draw(canvas).ellipse(inclusive, fill=255)
        case "silhouette":
            keys = list(others)
            outline = others[keys[rng.integers(len(keys))]].getchannel("A")
            outline = outline.resize((corners[2] - corners[0], corners[3] - corners[1]))
            canvas.paste(outline, corners[:2])
            canvas = canvas.filter(ImageFilter.MaxFilter(2 * int(rng.integers(1, 4)) + 1))
        case "everything":
            canvas = Image.new("L", (size, size), 255)
    return np.asarray(canvas) >= 128


def _choose_box(rng: np.random.Generator, size: int) -> np.ndarray:
    """A hole of 45 to 80 % of the frame near its middle, or sometimes a smaller one anywhere."""
    usual = rng.random() < 0.85
    side = size * (rng.uniform(0.45, 0.8) if usual else rng.uniform(0.3, 0.5))
    stretch = np.exp(rng.uniform(-0.3, 0.3) / 2)
    extent = np.minimum([side * stretch, side / stretch], 0.9 * size)
    free = size - extent
    corner = free * (np.clip(rng.normal(0.5, 0.12, 2), 0, 1) if usual else rng.uniform(0, 1, 2))
    return np.concatenate([corner, corner + extent])


def _draw_ground_closeup(rng: np.random.Generator, size: int) -> Image.Image:
    """Ground as a crop shows it: a window of a scene twice as large."""
    ground = draw_ground(rng, 2 * size)
    window = rng.uniform(0.8 * size, 2 * size)
    x, y = rng.uniform(0, 2 * size - window, 2)
    return ground.resize((size, size), Image.Resampling.BILINEAR, (x, y, x + window, y + window))


def _scatter(rng: np.random.Generator, ground: Image.Image, others: Sprites) -> Image.Image:
    picture = ground.copy()
    keys = list(others)
    for _ in range(rng.integers(0, 4)):
        sprite = others[keys[rng.integers(len(keys))]]
        ratio = rng.uniform(0.3, 0.9) * picture.width / max(sprite.size)
        sprite = sprite.resize([max(4, round(side * ratio)) for side in sprite.size])
        x, y = rng.uniform(0, picture.width, 2) - np.array(sprite.size) / 2
        picture.paste(sprite, (round(x), round(y)), sprite)
    return picture


def _fill(rng: np.random.Generator, ground: Image.Image, sprite: Image.Image, box: np.ndarray) -> Image.Image:
    """The sprite at the size of the box, stretched a little towards the proportions of the box."""
    width, height = (box[2:] - box[:2]) * rng.uniform(0.88, 1.0)
    sprite = sprite.rotate(rng.uniform(-_LARGEST_ANGLE, _LARGEST_ANGLE), Image.Resampling.BICUBIC, expand=True)
    sprite = sprite.crop(sprite.getchannel("A").getbbox())
    natural = sprite.width / sprite.height
    proportions = np.clip(width / height, natural / _LARGEST_STRETCH, natural * _LARGEST_STRETCH)
    width, height = min(width, height * proportions), min(height, width / proportions)
    sprite = sprite.resize((max(4, round(width)), max(4, round(height))), Image.Resampling.BICUBIC)
    slack = (box[2:] - box[:2]) - sprite.size
    x, y = np.round(box[:2] + slack * rng.uniform(0.3, 0.7, 2)).astype(int)
    picture = ground.copy()
    picture.paste(sprite, (int(x), int(y)), sprite)
    return picture
