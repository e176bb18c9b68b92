"""Scenes composed of open-licence emoji sprites: the data of every starter model.

The sprites come from two npm packages, `emoji-datasource-google` (style "noto", 64 px) and
`@lobehub/fluent-emoji-3d` (style "fluent", 256 px). `python -m training.scenes --data training/data`
fetches and unpacks them with npm; everything else in this file works offline.
"""

import argparse
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

Style = Literal["noto", "fluent"]
Sprites = Mapping[tuple[str, str], Image.Image]
Range = tuple[float, float]

DATA = Path(__file__).parent / "data"
STYLES: tuple[Style, ...] = ("noto", "fluent")
GROUNDS = ("plain", "gradient", "stripes", "checks", "noise", "clouds")

CODE_POINTS = {
    "dog": "1f436", "cat": "1f431", "fox": "1f98a", "panda": "1f43c", "tiger": "1f42f", "lion": "1f981",
    "pig": "1f437", "frog": "1f438", "penguin": "1f427", "bee": "1f41d", "butterfly": "1f98b", "turtle": "1f422",
    "octopus": "1f419", "fish": "1f41f", "apple": "1f34e", "banana": "1f34c", "watermelon": "1f349",
    "strawberry": "1f353", "cherry": "1f352", "pineapple": "1f34d", "carrot": "1f955", "mushroom": "1f344",
    "cheese": "1f9c0", "donut": "1f369", "car": "1f697", "bus": "1f68c", "bicycle": "1f6b2", "rocket": "1f680",
    "sailboat": "26f5", "star": "2b50", "heart": "2764", "cactus": "1f335", "pizza": "1f355", "hamburger": "1f354",
    "soccer ball": "26bd", "crown": "1f451", "ghost": "1f47b", "tree": "1f333", "house": "1f3e0",
    "balloon": "1f388", "rabbit": "1f430", "koala": "1f428", "cow": "1f42e", "owl": "1f989", "snake": "1f40d",
    "elephant": "1f418", "lemon": "1f34b", "grapes": "1f347", "corn": "1f33d", "train": "1f686",
    "airplane": "2708", "key": "1f511", "camera": "1f4f7", "guitar": "1f3b8", "umbrella": "2614",
    "top hat": "1f3a9", "backpack": "1f392", "sun": "2600", "rose": "1f339", "pumpkin": "1f383",
}  # fmt: skip
NAMES = tuple(CODE_POINTS)

_SOURCES = {
    "noto": ("emoji-datasource-google@16.0.0", "package/img/google/64/", ".png"),
    "fluent": ("@lobehub/fluent-emoji-3d@1.1.0", "package/assets/", ".webp"),
}
_OPAQUE = 128


class Scene(NamedTuple):
    """A picture and all that is known about it. N sprites, S pixels a side; sprite i lies under sprite i + 1."""

    image: np.ndarray
    """uint8 [S, S, 3], RGB."""
    boxes: np.ndarray
    """float32 [N, 4], x0 y0 x1 y1 in pixels: the tight box of each visible mask."""
    names: tuple[str, ...]
    styles: tuple[str, ...]
    masks: np.ndarray
    """bool [N, S, S]: the pixels where the sprite shows, without those that a later sprite hides."""


def fetch(data: Path = DATA) -> None:
    """Fetch both sprite packages with npm and unpack their sprites into `data`/noto and `data`/fluent."""
    data.mkdir(parents=True, exist_ok=True)
    for style, (package, folder, suffix) in _SOURCES.items():
        packed = subprocess.run(
            ["npm", "pack", "--silent", package], cwd=data, check=True, capture_output=True, text=True
        )
        archive = data / packed.stdout.split()[-1]
        target = data / style
        target.mkdir(exist_ok=True)
        with tarfile.open(archive) as members:
            for member in members:
                if member.name.startswith(folder) and member.name.endswith(suffix):
                    (target / Path(member.name).name).write_bytes(members.extractfile(member).read())
        archive.unlink()


def load_sprites(data: Path = DATA, names: Sequence[str] = NAMES, styles: Sequence[str] = STYLES) -> Sprites:
    """Read sprites as RGBA images, cut to what is visible, keyed by (name, style)."""
    return {(name, style): _read_sprite(data, name, style) for name in names for style in styles}


def _read_sprite(data: Path, name: str, style: str) -> Image.Image:
    suffix = _SOURCES[style][2]
    stem = data / style / CODE_POINTS[name]
    candidates = (stem.with_name(stem.name + tail + suffix) for tail in ("", "-fe0f"))
    path = next((candidate for candidate in candidates if candidate.exists()), None)
    if path is None:
        raise FileNotFoundError(f"no {style} sprite of '{name}' in {data}: run `python -m training.scenes` first")
    sprite = Image.open(path).convert("RGBA")
    return sprite.crop(sprite.getchannel("A").getbbox())


def compose(
    rng: np.random.Generator,
    sprites: Sprites,
    size: int = 128,
    count: tuple[int, int] = (1, 4),
    scale: Range = (0.2, 0.6),
    touching: float = 0.2,
    max_angle: float = 15.0,
    flip: bool = True,
    min_visible: float = 0.5,
    grounds: Sequence[str] = GROUNDS,
) -> Scene:
    """Draw a random scene; the same generator state gives the same scene.

    rng: the only source of randomness.
    size: pixels a side.
    count: least and greatest number of sprites; fewer are placed when they would hide each other.
    scale: longer side of a sprite as a fraction of `size`, drawn log-uniformly.
    touching: probability that a sprite is put against an earlier one, so that they touch or overlap.
    max_angle: sprites are turned by up to this many degrees either way.
    min_visible: fraction of every sprite's pixels that must stay visible.
    """
    canvas = draw_ground(rng, size, grounds)
    keys = list(sprites)
    placed: list[tuple[str, str]] = []
    full: list[np.ndarray] = []
    visible: list[np.ndarray] = []
    for _ in range(rng.integers(count[0], count[1] + 1)):
        key = keys[rng.integers(len(keys))]
        sprite = pose(rng, sprites[key], size, scale, max_angle, flip)
        for _ in range(12):
            corner = _choose_corner(rng, sprite, size, visible, touching)
            mask = _paste_mask(sprite, corner, size)
            remaining = [earlier & ~mask for earlier in visible]
            if all(left.sum() >= min_visible * whole.sum() for left, whole in zip(remaining, full, strict=True)):
                canvas.paste(sprite, corner, sprite)
                placed.append(key)
                full.append(mask)
                visible = [*remaining, mask]
                break
    masks = np.stack(visible)
    boxes = np.stack([tight_box(mask) for mask in visible])
    names, styles = zip(*placed, strict=True)
    return Scene(np.asarray(canvas), boxes, names, styles, masks)


def resize(scene: Scene, size: int) -> Scene:
    """The same scene at another size, its picture resampled (blurry when enlarged), its boxes and masks scaled."""
    old = scene.image.shape[0]
    image = Image.fromarray(scene.image).resize((size, size), Image.Resampling.BICUBIC)
    rows = np.arange(size) * old // size
    masks = scene.masks[:, rows][:, :, rows]
    return scene._replace(image=np.asarray(image), boxes=scene.boxes * np.float32(size / old), masks=masks)


def tight_box(mask: np.ndarray) -> np.ndarray:
    """float32 [4], x0 y0 x1 y1: the smallest box around a bool [H, W] mask that is not empty."""
    columns = np.flatnonzero(mask.any(axis=0))
    rows = np.flatnonzero(mask.any(axis=1))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)


def draw_ground(rng: np.random.Generator, size: int, grounds: Sequence[str] = GROUNDS) -> Image.Image:
    """An RGB background of `size` pixels a side, of one of the given kinds, in random colours."""
    kind = grounds[rng.integers(len(grounds))]
    low, high = rng.uniform(0, 255, (2, 3))
    blend = _BLENDS[kind](rng, size)[..., None]
    return Image.fromarray((low + (high - low) * blend).astype(np.uint8))


def _plain(rng: np.random.Generator, size: int) -> np.ndarray:
    return np.zeros((size, size))


def _gradient(rng: np.random.Generator, size: int) -> np.ndarray:
    ramp = _along_random_direction(rng, size)
    return (ramp - ramp.min()) / (ramp.max() - ramp.min())


def _stripes(rng: np.random.Generator, size: int) -> np.ndarray:
    return np.floor(_along_random_direction(rng, size) * rng.uniform(3, 12)) % 2


def _checks(rng: np.random.Generator, size: int) -> np.ndarray:
    cell = np.arange(size) // rng.integers(size // 16, size // 4)
    return (cell[:, None] + cell[None]) % 2


def _noise(rng: np.random.Generator, size: int) -> np.ndarray:
    return rng.uniform(0, 1, (size, size)) * rng.uniform(0.1, 0.6)


def _clouds(rng: np.random.Generator, size: int) -> np.ndarray:
    coarse = [rng.uniform(0, 1, (cells, cells)).astype(np.float32) for cells in (3, 6)]
    layers = [np.asarray(Image.fromarray(layer).resize((size, size), Image.Resampling.BICUBIC)) for layer in coarse]
    return np.clip(sum(layers) / 2, 0, 1)


_BLENDS = {
    "plain": _plain,
    "gradient": _gradient,
    "stripes": _stripes,
    "checks": _checks,
    "noise": _noise,
    "clouds": _clouds,
}


def _along_random_direction(rng: np.random.Generator, size: int) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    axis = np.arange(size) / size
    return axis[None] * np.cos(angle) + axis[:, None] * np.sin(angle)


def pose(
    rng: np.random.Generator, sprite: Image.Image, size: int, scale: Range, max_angle: float, flip: bool
) -> Image.Image:
    """The sprite at a random size, angle and side, cut to what is visible; its longer side is at most `size`."""
    longer = size * np.exp(rng.uniform(*np.log(scale)))
    if flip and rng.random() < 0.5:
        sprite = sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if max_angle > 0:
        sprite = _fit(sprite, min(2 * longer, max(sprite.size)))
        sprite = sprite.rotate(rng.uniform(-max_angle, max_angle), Image.Resampling.BILINEAR, expand=True)
        sprite = sprite.crop(sprite.getchannel("A").getbbox())
    return _fit(sprite, longer)


def _fit(sprite: Image.Image, longer: float) -> Image.Image:
    ratio = longer / max(sprite.size)
    width, height = (max(4, round(side * ratio)) for side in sprite.size)
    return sprite.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)


def _choose_corner(
    rng: np.random.Generator, sprite: Image.Image, size: int, visible: list[np.ndarray], touching: float
) -> tuple[int, int]:
    free = np.array([size - sprite.width, size - sprite.height])
    if not visible or rng.random() >= touching:
        x, y = rng.integers(0, free + 1)
        return int(x), int(y)
    x0, y0, x1, y1 = tight_box(visible[rng.integers(len(visible))])
    angle = rng.uniform(0, 2 * np.pi)
    reach = np.array([x1 - x0 + sprite.width, y1 - y0 + sprite.height]) / 2 * rng.uniform(0.6, 1.0)
    centre = np.array([x0 + x1, y0 + y1]) / 2 + reach * [np.cos(angle), np.sin(angle)]
    corner = np.clip(np.round(centre - np.array(sprite.size) / 2), 0, free)
    return int(corner[0]), int(corner[1])


def _paste_mask(sprite: Image.Image, corner: tuple[int, int], size: int) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    x, y = corner
    mask[y : y + sprite.height, x : x + sprite.width] = np.asarray(sprite.getchannel("A")) >= _OPAQUE
    return mask


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Fetch the emoji sprites that the starter models are trained on.")
    parser.add_argument("--data", type=Path, default=DATA)
    fetch(parser.parse_args().data)
