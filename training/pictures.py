"""Pictures of one emoji each, 32 pixels a side: what the starter generators learn to draw."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from . import scenes
from .scenes import Sprites

NAMES = (
    "dog", "cat", "fox", "panda", "tiger", "pig", "frog", "penguin", "bee", "butterfly", "turtle", "octopus", "fish",
    "apple", "banana", "watermelon", "strawberry", "cherry", "pineapple", "carrot", "mushroom", "donut", "car",
    "rocket", "heart", "cactus", "pizza", "ghost", "tree", "balloon", "sun", "pumpkin",
)  # fmt: skip
STYLE = "noto"
SIZE = 32
TRAINING, HELD_OUT = 30, 31
_LIGHTEST = 190


class Pictures(NamedTuple):
    """N pictures and what they show."""

    images: Tensor
    """uint8 [N, 3, 32, 32], RGB."""
    labels: Tensor
    """int64 [N], index in NAMES."""

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
        """`size` random pictures, float32 [size, 3, 32, 32] in -1..1, and their labels."""
        chosen = torch.from_numpy(rng.integers(len(self.images), size=size))
        return self.images[chosen].float() / 127.5 - 1, self.labels[chosen]


def load_sprites(data: Path = scenes.DATA) -> Sprites:
    """The sprites of NAMES in the one style that the generators know."""
    return scenes.load_sprites(data, NAMES, (STYLE,))


def draw_pictures(sprites: Sprites, count: int, stream: int = TRAINING) -> Pictures:
    """`count` renderings, the names in turn; a `stream` of its own gives pictures that no other stream has."""
    drawn = [_draw(np.random.default_rng([stream, index]), sprites, index % len(NAMES)) for index in range(count)]
    images = torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2).contiguous()
    return Pictures(images, torch.arange(count) % len(NAMES))


def _draw(rng: np.random.Generator, sprites: Sprites, label: int) -> np.ndarray:
    ground = Image.new("RGB", (SIZE, SIZE), tuple(int(value) for value in rng.integers(_LIGHTEST, 256, 3)))
    sprite = scenes.pose(rng, sprites[NAMES[label], STYLE], SIZE, scale=(0.8, 1.0), max_angle=8.0, flip=True)
    corner = tuple(int(rng.integers(SIZE - side + 1)) for side in sprite.size)
    ground.paste(sprite, corner, sprite)
    return np.asarray(ground)
