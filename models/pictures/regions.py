"""Cuts a square picture around each object, and pastes the repainted pictures back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from ..errors import BadInput
from ..values import CropRegion, Crops, Objects, SegmentedObject
from . import packed
from .dust import MASK_THRESHOLD, without_dust
from .images import check_finite, check_images, check_masks, match_masks, rgb
from .seam import WINDOW, seam_score

Per = Literal["object", "image"]
HoleShape = Literal["object", "box"]


class Hole(NamedTuple):
    """Pixels of one image that are to be repainted together.

    frame: index of the image. x, y: the image pixel where `weight` begins.
    weight: float32 [h, w], 0..1, with a pixel above 0 on each of its four sides.
    shape: float32 [h, w], 0..1, the object itself where the hole is more than it; else None.
    """

    frame: int
    x: int
    y: int
    weight: torch.Tensor
    shape: torch.Tensor | None = None


class Cropped(NamedTuple):
    """Pictures to repaint.

    images: float32 [N, S, S, 3]. masks: float32 [N, S, S], 1 where to repaint. crops: the way back. objects: float32
    [N, S, S], 0..1, each object's own mask, neither grown nor softened.
    """

    images: torch.Tensor
    masks: torch.Tensor
    crops: Crops
    objects: torch.Tensor


class Stitched(NamedTuple):
    """The originals with the repainted pictures in them, float32 [B, H, W, C], and the seam score of each crop."""

    images: torch.Tensor
    seams: tuple[float, ...]


def holes_of_objects(
    objects: Objects, images: torch.Tensor, per: Per = "object", hole: HoleShape = "object"
) -> list[Hole]:
    """The holes of segmented objects: one each, or one per image that has any; in the order of the objects.

    Objects of a single frame serve every image. `hole` is the object's own pixels, or the whole of its tight bounds.

    Raises:
        BadInput: objects of another size or of another number of images.
    """
    frames, height, width = images.shape[:3]
    if (objects.height, objects.width) != (height, width) or objects.frames not in (1, frames):
        raise BadInput(
            f"objects: they were segmented in {objects.frames} images of {objects.width} x {objects.height} pixels, "
            f"and the image batch has {frames} of {width} x {height}; segment the same images that you crop."
        )
    holes = []
    for frame in range(frames):
        source = frame if objects.frames == frames else 0
        found = [item for item in objects.objects if item.frame == source and item.mask.width > 0]
        groups = [[item] for item in found] if per == "object" else [found]
        holes += [_hole_of(group, hole)._replace(frame=frame) for group in groups if group]
    return holes


def holes_of_masks(masks: torch.Tensor, images: torch.Tensor, threshold: float = MASK_THRESHOLD) -> list[Hole]:
    """One hole for each image [B, H, W, C] whose mask is not empty; masks follow `images.match_masks`.

    threshold: below it, mask values are dust, see dust.py.
    """
    frames, height, width = images.shape[:3]
    given = check_masks(masks)
    if given.shape[-2:] != (height, width) or len(given) not in (1, frames):
        given = match_masks(without_dust(given, threshold), frames, height, width)
    holes = [_hole_in(mask, 0, threshold) for mask in given]
    return [
        hole._replace(frame=frame)
        for frame in range(frames)
        if (hole := holes[frame if len(holes) > 1 else 0]) is not None
    ]


def crop(
    images: torch.Tensor,
    holes: Sequence[Hole],
    size: int = 512,
    context_factor: float = 1.5,
    grow: int = 0,
    soften: int = 0,
) -> Cropped:
    """A square picture of `size` x `size` pixels around each hole.

    images: float [B, H, W, 3 or 4].
    context_factor: side of the region that is cut, as a multiple of the hole's longer side, before it is scaled to
        `size`. The region is moved inside the image where it fits; the rest is filled with the image's border pixels.
    grow: pixels, in the image's scale, by which each hole is extended on all sides.
    soften: pixels beyond that over which the paste fades out: weight 1 - d / (soften + 1) at d pixels (chessboard
        distance) from the hole.

    Masks cover every pixel that will be pasted with any weight. Without holes there is one picture with an empty
    mask, the middle of the first image, so that the nodes that follow have a batch to work on; its crops have no
    regions, and stitching them gives the images back.

    Raises:
        BadInput: no images, or NaN and infinite values in what is cut; the rest of the images is not looked at.
    """
    images = check_images(images, finite=False)
    height, width = images.shape[1:3]
    if not holes:
        nothing = torch.zeros(1, size, size, device=images.device)
        return Cropped(_cut(images, _middle(images), size)[None], nothing, Crops(images, ()), nothing.clone())
    regions = tuple(
        _region(_spread(hole, grow, soften, height, width), context_factor, height, width) for hole in holes
    )
    pictures = torch.stack([_cut(images, region, size) for region in regions])
    masks = torch.stack([_scaled(region.mask, region.mask_x, region.mask_y, region, size) for region in regions])
    objects = [
        _scaled(hole.weight if hole.shape is None else hole.shape, hole.x, hole.y, region, size)
        for hole, region in zip(holes, regions, strict=True)
    ]
    device = images.device
    return Cropped(pictures, (masks > 0).float().to(device), Crops(images, regions), torch.stack(objects).to(device))


def stitch(crops: Crops, pictures: torch.Tensor) -> Stitched:
    """Paste repainted pictures [N, S, S, 3 or 4], values 0..1, back into copies of the originals.

    They are pasted in the order of the crops: where regions overlap, the later one lies on top. Pixels with a paste
    weight of 0 and an alpha channel are bit-identical to the originals. Pictures may have another size than when they
    were cut. Crops without regions give the originals back, whatever `pictures` holds.

    Raises:
        BadInput: another number of pictures than of crops, or pictures that are not square.
    """
    if not crops.regions:
        return Stitched(crops.images.clone(), ())
    pictures = rgb(pictures, "image").to(crops.images.device)
    count, height, width = pictures.shape[:3]
    if count != len(crops.regions):
        raise BadInput(
            f"image: {count} repainted pictures for {len(crops.regions)} crops; "
            "give back one for each crop, in the same order."
        )
    if height != width:
        raise BadInput(
            f"image: repainted pictures of {width} x {height} pixels, but the crops were square; give them back uncut."
        )
    result = crops.images.clone()
    for region, picture in zip(crops.regions, pictures, strict=True):
        _paste(result, region, picture)
    return Stitched(result, tuple(_seam(crops.images, result, region) for region in crops.regions))


def pasted(crops: Crops) -> torch.Tensor:
    """Share of repainted pictures in every pixel after a stitch: float32 [B, H, W], 0..1; 0 where nothing changes."""
    # NumPy's zeros take no time until they are read, for the system fills in the pages then.
    share = torch.from_numpy(np.zeros(crops.images.shape[:3], dtype=np.float32)).to(crops.images.device)
    for region in crops.regions:
        tall, wide = region.mask.shape
        place = share[region.frame, region.mask_y : region.mask_y + tall, region.mask_x : region.mask_x + wide]
        place.copy_(1 - (1 - place) * (1 - region.mask.to(share.device)))
    return share


def _hole_of(group: Sequence[SegmentedObject], hole: HoleShape) -> Hole:
    masks = [item.mask for item in group]
    left, top = min(mask.x for mask in masks), min(mask.y for mask in masks)
    right, bottom = max(mask.x + mask.width for mask in masks), max(mask.y + len(mask.bits) for mask in masks)
    shape, boxes = torch.zeros(2, bottom - top, right - left, dtype=torch.bool)
    for mask in masks:
        packed.paint(shape, mask._replace(x=mask.x - left, y=mask.y - top))
        boxes[mask.y - top :, mask.x - left :][: len(mask.bits), : mask.width] = True
    if hole == "box":
        return Hole(group[0].frame, left, top, boxes.float(), shape.float())
    return Hole(group[0].frame, left, top, shape.float())


def _hole_in(mask: torch.Tensor, frame: int, threshold: float) -> Hole | None:
    """The hole of one mask [H, W], of which only the rows that hold it are looked at more than once."""
    least = threshold if threshold > 0 else torch.finfo(mask.dtype).tiny
    rows = (mask.amax(dim=1) >= least).nonzero().flatten()
    if not len(rows):
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = (mask[top:bottom].amax(dim=0) >= least).nonzero().flatten()
    left, right = int(columns[0]), int(columns[-1]) + 1
    return Hole(frame, left, top, without_dust(mask[top:bottom, left:right], threshold)[0].clamp(0, 1))


def _spread(hole: Hole, grow: int, soften: int, height: int, width: int) -> Hole:
    """The hole with its margins, as far as they lie inside the image."""
    reach = grow + soften
    weight = F.pad(hole.weight, (reach,) * 4)
    y, x = hole.y - reach, hole.x - reach
    weight = weight[max(-y, 0) : height - y, max(-x, 0) : width - x]
    weight = _dilate(weight, grow)
    total = weight
    for _ in range(soften):
        weight = _dilate(weight, 1)
        total = total + weight
    return Hole(hole.frame, max(x, 0), max(y, 0), total / (soften + 1))


def _dilate(weight: torch.Tensor, pixels: int) -> torch.Tensor:
    side = 2 * pixels + 1
    rows = F.max_pool2d(weight[None], (side, 1), stride=1, padding=(pixels, 0))
    return F.max_pool2d(rows, (1, side), stride=1, padding=(0, pixels))[0]


def _region(hole: Hole, context_factor: float, height: int, width: int) -> CropRegion:
    tall, wide = hole.weight.shape
    # More than the whole image is of no use, and would take memory without bound.
    side = min(math.ceil(max(tall, wide) * context_factor), max(height, width))
    x, y = _start(hole.x + wide / 2, side, width), _start(hole.y + tall / 2, side, height)
    return CropRegion(hole.frame, x, y, side, side, hole.x, hole.y, hole.weight)


def _start(centre: float, side: int, length: int) -> int:
    """First pixel of a region of `side` pixels around `centre`, inside 0..length where it fits."""
    if side > length:
        return (length - side) // 2
    return min(max(round(centre - side / 2), 0), length - side)


def _middle(images: torch.Tensor) -> CropRegion:
    height, width = images.shape[1:3]
    side = min(height, width)
    return CropRegion(0, (width - side) // 2, (height - side) // 2, side, side, 0, 0, torch.zeros(0, 0))


def _cut(images: torch.Tensor, region: CropRegion, size: int) -> torch.Tensor:
    """The region's picture [size, size, 3]."""
    height, width = images.shape[1:3]
    left, top = max(region.x, 0), max(region.y, 0)
    right, bottom = min(region.x + region.width, width), min(region.y + region.height, height)
    picture = images[region.frame, top:bottom, left:right, :3]
    check_finite(picture, region.frame)
    borders = (left - region.x, region.x + region.width - right, top - region.y, region.y + region.height - bottom)
    picture = F.pad(picture.movedim(-1, 0)[None], borders, mode="replicate")
    return _resize(picture, size, size)[0].movedim(0, -1).contiguous()


def _scaled(mask: torch.Tensor, x: int, y: int, region: CropRegion, size: int) -> torch.Tensor:
    """A mask [h, w] that begins at a pixel of the image, as it lies in the region: [size, size]."""
    whole = torch.zeros(1, 1, region.height, region.width, device=mask.device)
    top, left = y - region.y, x - region.x
    whole[0, 0, top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    # Weights of the filter add up to 1 but for rounding.
    return F.interpolate(whole, size=(size, size), mode="bilinear", antialias=True)[0, 0].clamp_(0, 1)


def _inside(region: CropRegion) -> tuple[slice, slice]:
    """Rows and columns of the region that its mask covers."""
    top, left = region.mask_y - region.y, region.mask_x - region.x
    return slice(top, top + region.mask.shape[0]), slice(left, left + region.mask.shape[1])


def _resize(pictures: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """[N, C, h, w] at another size, antialiased; at the same size the very same values."""
    if pictures.shape[-2:] == (height, width):
        return pictures
    return F.interpolate(pictures, size=(height, width), mode="bicubic", antialias=True).clamp(0, 1)


def _paste(result: torch.Tensor, region: CropRegion, picture: torch.Tensor) -> None:
    pixels = _resize(picture.movedim(-1, 0)[None], region.height, region.width)[0].movedim(0, -1)
    tall, wide = region.mask.shape
    target = result[region.frame, region.mask_y : region.mask_y + tall, region.mask_x : region.mask_x + wide, :3]
    weight = region.mask.to(result.device)[..., None]
    blended = target * (1 - weight) + pixels[_inside(region)] * weight
    target.copy_(torch.where(weight > 0, blended, target))


def _seam(before: torch.Tensor, after: torch.Tensor, region: CropRegion) -> float:
    """The seam score of one crop, from the surroundings of its mask."""
    height, width = before.shape[1:3]
    tall, wide = region.mask.shape
    top, left = max(region.mask_y - WINDOW, 0), max(region.mask_x - WINDOW, 0)
    bottom, right = min(region.mask_y + tall + WINDOW, height), min(region.mask_x + wide + WINDOW, width)
    weight = torch.zeros(bottom - top, right - left, device=before.device)
    weight[region.mask_y - top :, region.mask_x - left :][:tall, :wide] = region.mask.to(before.device)
    window = (region.frame, slice(top, bottom), slice(left, right), slice(0, 3))
    return seam_score(before[window], after[window], weight)
