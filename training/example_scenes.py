"""The scenes that the pack ships for its example workflows: `python -m training.example_scenes`.

Sprites stand where a picture looks good rather than at random; grounds are soft, so that a repainted hole can match.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from . import scenes

TARGET = Path(__file__).parents[1] / "models" / "starter" / "scenes"
SIDE = 384
STYLE = "noto"


class Placed(NamedTuple):
    """A sprite, its centre as fractions of the picture, and its longer side likewise."""

    name: str
    x: float
    y: float
    size: float


LAYOUTS = {
    "garden": (
        ((196, 226, 250), (150, 205, 140)),
        (
            Placed("house", 0.27, 0.30, 0.34),
            Placed("tree", 0.74, 0.28, 0.36),
            Placed("cat", 0.29, 0.74, 0.30),
            Placed("mushroom", 0.73, 0.74, 0.28),
        ),
    ),
    "picnic": (
        ((250, 240, 205), (240, 200, 160)),
        (
            Placed("hamburger", 0.28, 0.29, 0.32),
            Placed("strawberry", 0.73, 0.28, 0.30),
            Placed("soccer ball", 0.72, 0.73, 0.28),
            Placed("panda", 0.28, 0.73, 0.32),
        ),
    ),
    "night": (
        ((40, 45, 95), (95, 75, 130)),
        (
            Placed("pumpkin", 0.28, 0.70, 0.32),
            Placed("crown", 0.72, 0.28, 0.30),
            Placed("fox", 0.72, 0.72, 0.32),
            Placed("heart", 0.28, 0.28, 0.28),
        ),
    ),
}


def draw(layout: str, sprites: scenes.Sprites) -> Image.Image:
    """The RGB scene, SIDE x SIDE pixels, on a ground that changes from top to bottom."""
    (top, bottom), placed = LAYOUTS[layout]
    ramp = np.linspace(0, 1, SIDE)[:, None, None]
    rows = np.array(top) * (1 - ramp) + np.array(bottom) * ramp
    picture = Image.fromarray(np.broadcast_to(rows, (SIDE, SIDE, 3)).round().astype(np.uint8))
    for name, x, y, size in placed:
        sprite = sprites[name, STYLE]
        ratio = size * SIDE / max(sprite.size)
        sprite = sprite.resize([round(side * ratio) for side in sprite.size], Image.Resampling.BICUBIC)
        corner = (round(x * SIDE - sprite.width / 2), round(y * SIDE - sprite.height / 2))
        picture.paste(sprite, corner, sprite)
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=scenes.DATA)
    parser.add_argument("--target", type=Path, default=TARGET)
    arguments = parser.parse_args()
    sprites = scenes.load_sprites(arguments.data, styles=[STYLE])
    arguments.target.mkdir(parents=True, exist_ok=True)
    for layout in LAYOUTS:
        draw(layout, sprites).save(arguments.target / f"{layout}.png", optimize=True)


if __name__ == "__main__":
    main()
