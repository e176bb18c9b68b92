"""The colour of an object: by CLIP, as GenEval takes it, or by its pixels in a named colour space.

By pixels. Each pixel of the object's mask has the name of the nearest of these shades in CIELAB (D65, distance of
1976); the object has the name that most of them have. The shades are those that 222,500 people of the XKCD colour
survey (Munroe 2010, CC0) called by the eleven basic colour terms of Berlin and Kay (1969), plain, and for the eight
that have a hue with "light", "dark", "bright" and "deep" before them. Grey is one of them: what is grey is not black or
white.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch
import torch.nn.functional as F

from ...errors import BadInput
from ...pictures.boxes import Box, clipped
from ...steps import OnStep, quiet
from .records import COLOURS
from .verdicts import Objects, of_class

Embed = Callable[[Any], torch.Tensor]
"""Of a text, or of images [1, h, w, 3], 0..1: a vector [1, D]."""
Key = tuple[int, str, int]
"""An object: the number of its picture, its class, and its place among those."""
SHADES: Final = {
    "red": ("e50000", "ff474c", "840000", "ff000d", "9a0200"),
    "orange": ("f97306", "fdaa48", "c65102", "ff5b00", "dc4d01"),
    "yellow": ("ffff14", "fffe7a", "d5b60a", "fffd01"),
    "green": ("15b01a", "96f97b", "033500", "01ff07", "02590f"),
    "blue": ("0343df", "95d0fc", "00035b", "0165fc", "040273"),
    "purple": ("7e1e9c", "bf77f6", "35063e", "be03fd", "36013f"),
    "pink": ("ff81c0", "ffd1df", "cb416b", "fe01b1", "cb0162"),
    "brown": ("653700", "ad8150", "341c02", "410200"),
    "black": ("000000",),
    "white": ("ffffff",),
    "grey": ("929591",),
}
"""Name -> sRGB, plain, light, dark, bright, deep; nobody said "deep yellow" or "bright brown"."""
BACKGROUND: Final = 0x99 / 255
"""Grey that GenEval puts around an object before CLIP sees it."""
TEMPLATES: Final = (
    "a photo of a {colour} {name}",
    "a photo of a {colour}-colored {name}",
    "a photo of a {colour} object",
)
_WHITE: Final = (0.95047, 1.0, 1.08883)
_TO_XYZ: Final = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)


def lab(pixels: torch.Tensor) -> torch.Tensor:
    """CIELAB, float64 [N, 3], L 0..100, of sRGB [N, 3], 0..1, under D65 (CIE 15; IEC 61966-2-1)."""
    pixels = pixels.double()
    linear = torch.where(pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** 2.4)
    xyz = linear @ torch.tensor(_TO_XYZ, dtype=torch.float64).T / torch.tensor(_WHITE, dtype=torch.float64)
    f = torch.where(xyz > (6 / 29) ** 3, xyz.clamp(min=0) ** (1 / 3), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f.unbind(dim=1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


_NAMES: Final = [name for name, shades in SHADES.items() for _ in shades]
_SHADES: Final = lab(torch.tensor([[*bytes.fromhex(each)] for shades in SHADES.values() for each in shades]) / 255)


def named_colour(pixels: torch.Tensor) -> str:
    """The name that most pixels of an object have; pixels: sRGB [N, 3], 0..1, N at least 1."""
    nearest = torch.cdist(lab(pixels), _SHADES).argmin(dim=1).bincount(minlength=len(_NAMES)).tolist()
    votes = dict.fromkeys(SHADES, 0)
    for name, count in zip(_NAMES, nearest, strict=True):
        votes[name] += count
    return max(votes, key=lambda name: votes[name])


def by_pixels(image: torch.Tensor, box: Box, mask: torch.Tensor | None) -> str:
    """The colour of an object of an image [H, W, 3], 0..1.

    mask: bool [H, W]. Without one, or where it is empty, the ellipse that touches the box's sides stands for it.
    """
    if mask is None or not bool(mask.any()):
        mask = _ellipse(image, box)
    return named_colour(image[..., :3][mask].cpu())


def _ellipse(image: torch.Tensor, box: Box) -> torch.Tensor:
    height, width = image.shape[:2]
    x = (torch.arange(width, device=image.device) + 0.5 - box["x"] - box["width"] / 2) / (box["width"] / 2)
    y = (torch.arange(height, device=image.device) + 0.5 - box["y"] - box["height"] / 2) / (box["height"] / 2)
    inside = x.square()[None] + y.square()[:, None] <= 1
    if not bool(inside.any()):  # a box thinner than a pixel
        inside[min(int(box["y"]), height - 1), min(int(box["x"]), width - 1)] = True
    return inside


def crop(image: torch.Tensor, box: Box, mask: torch.Tensor | None) -> torch.Tensor:
    """What CLIP sees of an object, [1, h, w, 3]: its box, with grey around its mask where there is one."""
    height, width = image.shape[:2]
    shown = image[..., :3]
    if mask is not None:
        shown = torch.where(mask[..., None], shown, BACKGROUND)
    inside = clipped(box, height, width)
    left, top = min(int(inside["x"]), width - 1), min(int(inside["y"]), height - 1)
    right = max(left + 1, round(inside["x"] + inside["width"]))
    bottom = max(top + 1, round(inside["y"] + inside["height"]))
    return shown[None, top:bottom, left:right]


def text_features(name: str, colours: Sequence[str], embed: Embed) -> torch.Tensor:
    """Unit vectors [C, D] of an object in each colour: mean over the templates, as zero-shot classifiers take it."""
    rows = []
    for colour in colours:
        texts = [template.format(colour=colour, name=name) for template in TEMPLATES]
        rows.append(F.normalize(torch.cat([embed(text) for text in texts]).double(), dim=1).mean(dim=0))
    return F.normalize(torch.stack(rows), dim=1)


def by_clip(features: torch.Tensor, texts: torch.Tensor, colours: Sequence[str]) -> str:
    """The colour whose text [C, D] is nearest to the object's picture [1, D].

    Raises:
        BadInput: the two halves are not of one CLIP.
    """
    if features.shape[1] != texts.shape[1]:
        raise BadInput(
            f"clip, clip_vision: texts have {texts.shape[1]} features and images {features.shape[1]}; connect the two "
            "halves of the same CLIP."
        )
    return colours[int((features.double() @ texts.to(features.device).T)[0].argmax())]


def of_objects(
    pictures: torch.Tensor,
    objects: Sequence[Objects],
    keys: Sequence[Key],
    masks: Mapping[Key, torch.Tensor],
    embed: tuple[Embed, Embed] | None = None,
    on_step: OnStep = quiet,
) -> dict[Key, str]:
    """The colours of objects of pictures [N, H, W, 3].

    masks: bool [H, W] of objects that were cut out. embed: CLIP's of a text, and of images; None names colours by
    pixels.
    """
    found: dict[Key, str] = {}
    texts: dict[str, torch.Tensor] = {}
    for done, key in enumerate(keys, start=1):
        frame, name, place = key
        picture, box, mask = pictures[frame], of_class(objects[frame], name)[place], masks.get(key)
        mask = None if mask is None else mask.to(picture.device)
        if embed is None:
            found[key] = by_pixels(picture, box, mask)
        else:
            of_text, of_images = embed
            if name not in texts:
                texts[name] = text_features(name, COLOURS, of_text)
            found[key] = by_clip(of_images(crop(picture, box, mask)), texts[name], COLOURS)
        on_step(done)
    return found
