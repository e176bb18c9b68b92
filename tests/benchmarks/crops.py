"""Crop and stitch of one object: its time depends on the object, and hardly on the picture around it.

The reference is the algorithm of ComfyUI-Inpaint-CropAndStitch (its two "Improved" nodes on the CPU, at their default
values), written down here for one picture and a region that lies inside it. It fills the mask's holes, which takes most
of its time, and is compared without that too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from trilemma.models.pictures.masks import fill_holes
from trilemma.models.pictures.regions import crop, holes_of_masks, pasted, stitch
from trilemma.tests.benchmarks.masks import fill_at_thresholds
from trilemma.tests.benchmarks.timing import Comparison, compare

OBJECT: Final = 300
"""Diameter in pixels."""
SMALL, LARGE = 1024, 4096
AT_MOST: Final = 2.0
FASTER_AT_LEAST: Final = {(SMALL, True): 3.0, (LARGE, True): 12.0, (SMALL, False): 1.25, (LARGE, False): 6.0}
"""By the side of the picture, and whether holes are filled."""
BLEND: Final = 32
"""Pixels over which CropAndStitch blends: its mask grows by 6 and fades over about 12 more."""
GROW, SOFTEN, CONTEXT, SIZE = 6, 12, 1.2, 512
DUST: Final = 0.1
"""Mask values below it count as none."""

Edit = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Growth:
    """CPU seconds in a small and in a large picture, without the copy of the picture that a stitch gives."""

    small: float
    large: float

    @property
    def ratio(self) -> float:
        return self.large / self.small


def seconds(side: int, repeats: int = 5) -> float:
    """Of a crop from a mask, a stitch, and the mask of what it pasted: the least of several turns, less a copy."""
    images, mask = torch.rand(1, side, side, 3, generator=torch.Generator().manual_seed(0)), disc(side)

    def edit() -> None:
        cut = crop(images, holes_of_masks(mask, images), size=512, context_factor=1.6, grow=4, soften=4)
        stitch(cut.crops, cut.images.flip(1))
        pasted(cut.crops)

    return min(_taken(edit) - _taken(images.clone) for _ in range(repeats))


def distances(side: int) -> torch.Tensor:
    """Of the pixels from the object's middle, [side, side]."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return torch.hypot(y - side / 2.0, x - side / 3.0)


def disc(side: int) -> torch.Tensor:
    """The object's mask, [1, side, side]."""
    return (distances(side) < OBJECT / 2).float()[None]


def crop_and_stitch(images: torch.Tensor, mask: torch.Tensor, edit: Edit, filling: bool) -> torch.Tensor:
    """The reference: images [1, H, W, 3] with the edited region pasted under a softened mask."""
    images, mask, context = images.clone(), mask.clone(), torch.zeros_like(images[..., 0])
    if filling:
        mask = fill_at_thresholds(mask)
    # Grown by a square and blurred over the whole picture; weak values go.
    sigma = BLEND / 4
    side = int(np.ceil(1.5 * sigma + 1))
    grown = ndimage.grey_dilation(mask[0].numpy(), footprint=np.ones((side, side), dtype=np.uint8))
    soft = torch.from_numpy(ndimage.gaussian_filter(grown, sigma / 2)).clamp(0, 1)[None]
    weight, context = (torch.where(each < DUST, 0, each) for each in (soft, context))
    # The square that holds the mask and its surroundings, moved inside the picture.
    (top, left), (bottom, right) = _bounds(weight[0])
    assert _bounds(context[0]) == ((-1, -1), (-1, -1))
    high, wide = bottom - top, right - left
    top, bottom = top - round(high * (CONTEXT - 1) / 2), bottom + round(high * (CONTEXT - 1) / 2)
    left, right = left - round(wide * (CONTEXT - 1) / 2), right + round(wide * (CONTEXT - 1) / 2)
    square = max(bottom - top, right - left)
    top, left = top - (square - (bottom - top)) // 2, left - (square - (right - left)) // 2
    region = np.s_[:, top : top + square, left : left + square]
    # Picture and mask lie on a canvas that would hold what is beyond the borders.
    images, weight = images.clone(), weight.clone()
    canvas, canvas_weight = torch.zeros_like(images), torch.ones_like(weight)
    canvas[:], canvas_weight[:] = images, weight
    picture, cut = _resized(canvas[region][0], SIZE), _resized(canvas_weight[region][0], SIZE)
    blend = torch.from_numpy(ndimage.gaussian_filter(cut.numpy(), sigma / 2)).clamp(0, 1)
    changed = edit(picture[None])[0].clone()
    # The way back.
    canvas = canvas.clone()
    share = _resized(blend, square).clamp(0, 1)[..., None]
    canvas[region] = share * _resized(changed, square) + (1 - share) * canvas[region]
    return torch.stack([*canvas])


def _bounds(values: torch.Tensor) -> tuple[tuple[int, int], tuple[int, int]]:
    """First row and column of what is not 0, and those after the last; -1 where nothing is."""
    places = values.nonzero()
    if not len(places):
        return (-1, -1), (-1, -1)
    rows, columns = places[:, 0], places[:, 1]
    return (int(rows.min()), int(columns.min())), (int(rows.max()) + 1, int(columns.max()) + 1)


def _resized(values: torch.Tensor, side: int) -> torch.Tensor:
    """A square picture [S, S, C] or mask [S, S] by Pillow in 8 bits: cubic where it grows, else linear."""
    way = Image.Resampling.BICUBIC if side > len(values) else Image.Resampling.BILINEAR
    picture = Image.fromarray((values * 255).byte().numpy()).resize((side, side), way)
    return torch.from_numpy(np.array(picture)).float() / 255


def ours(images: torch.Tensor, mask: torch.Tensor, edit: Edit, filling: bool) -> torch.Tensor:
    """The same by the pack, which also says what it pasted, and how well."""
    holes = holes_of_masks(fill_holes(mask) if filling else mask, images)
    cut = crop(images, holes, size=SIZE, context_factor=CONTEXT, grow=GROW, soften=SOFTEN)
    result = stitch(cut.crops, edit(cut.images)).images
    pasted(cut.crops)
    return result


def compare_edits(side: int, filling: bool, repeats: int = 3) -> Comparison:
    """Both edit the object, up to what their ways of resizing differ by, and keep what lies apart from it."""
    places = torch.linspace(0, 20, side)
    waves = (torch.stack([places.sin(), places.cos(), (2 * places).sin()], dim=-1) + 1) / 2
    images, mask = (waves[:, None] + waves.flip(0)[None])[None] / 2, disc(side)
    expected, found = (way(images, mask, _negative, filling) for way in (crop_and_stitch, ours))
    inside, apart = distances(side) < OBJECT / 2 - BLEND, distances(side) > OBJECT
    for result in (expected, found):
        assert torch.equal(result[0][apart], images[0][apart])
        assert (result[0][inside] - _negative(images)[0][inside]).abs().max() < 0.05
    return compare(
        lambda: crop_and_stitch(images, mask, _negative, filling),
        lambda: ours(images, mask, _negative, filling),
        repeats,
    )


def _negative(images: torch.Tensor) -> torch.Tensor:
    return 1 - images


def _taken(call: Callable[[], Any]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def comparisons() -> list[tuple[str, Comparison, float]]:
    """What is compared, the times, and the least ratio that is promised."""
    return [
        (
            f"crop and stitch, {OBJECT} px of {side:,} px, {'holes filled' if filling else 'holes left'}",
            compare_edits(side, filling),
            promised,
        )
        for (side, filling), promised in FASTER_AT_LEAST.items()
    ]


def rows() -> list[tuple[str, Growth, float]]:
    """What is measured, and how much more the large picture may take."""
    return [(f"crop and stitch, an object of {OBJECT} px", Growth(seconds(SMALL), seconds(LARGE)), AT_MOST)]
