"""Objects of masks and boxes that any node found, drew or read: what the pack's own segmenters give."""

from __future__ import annotations

import math
from typing import Any, Final, Literal, NamedTuple

import torch

from ..errors import BadInput
from ..values import Objects, PackedMask, SegmentedObject
from .boxes import Box, clipped, per_image
from .dust import MASK_THRESHOLD, without_dust
from .images import match_masks
from .islands import Island, islands
from .packed import area, pack

MasksAre = Literal["automatic", "one per image", "one per object"]
MASKS_ARE: Final[tuple[MasksAre, ...]] = ("automatic", "one per image", "one per object")
WITHIN: Final = 0.9
"""Share of an island that must lie in a box to belong to it alone."""


class Read(NamedTuple):
    """objects, and remarks on what was left out: a line each."""

    objects: Objects
    remarks: tuple[str, ...]


class _Size(NamedTuple):
    frames: int
    height: int
    width: int


def read_objects(
    size: tuple[int, int, int],
    masks: torch.Tensor | None = None,
    boxes: Any = None,
    label: str = "",
    masks_are: MasksAre = "automatic",
    split_islands: bool = True,
    min_area: int = 0,
    threshold: float = MASK_THRESHOLD,
) -> Read:
    """The objects of `size` = frames, height, width images, in the order of the frames and of what was given.

    masks: [N, H, W], with no mask at all where a detector found nothing. One for each image, one for all, or one for
        each object: of the boxes in their order, or of a single image. boxes: any of the BOUNDING_BOX shapes; lists
        that are all empty count as none given.

    Masks alone: an object for each island of an image's mask, with `split_islands`, else for each mask. Boxes alone:
    the whole box. Both: an object for each box, with its own mask or what of its image's mask lies in it; an island
    that lies in several boxes belongs to the one that fits it best. Objects keep the box, label and score of their
    box; else they have the mask's tight box, `label`, and score 1.

    min_area: pixels of the smallest object; 0 keeps also boxes without a pixel of the mask. threshold: mask values from
    it on belong to an object.

    Raises:
        BadInput: neither is given; shapes, sizes or numbers that do not fit; a box outside of its image.
    """
    given = _Size(*size)
    lists = None if boxes is None else per_image(boxes, given.frames)
    found = [
        {**clipped(box, given.height, given.width), "frame": frame}
        for frame, of_image in enumerate(lists or ())
        for box in of_image
    ]
    if masks is None and lists is None:
        raise BadInput("mask, boxes: neither is connected; connect one of them, or both.")
    if masks is None:
        read = [(box, _rectangle(box)) for box in found]
        return _made(given, read, label, min_area, ())
    pixels = _pixels(masks, given, threshold)
    single = _is_one_per_object(pixels, found, given, masks_are)
    if not single and len(pixels) not in (1, given.frames):
        raise BadInput(
            f"mask: {len(pixels)} masks for {given.frames} images and {len(found)} boxes; give one mask for each "
            "image, one for all of them, or one for each box."
        )
    remarks: tuple[str, ...] = ()
    if single:
        frames = [box["frame"] for box in found] or [0] * len(pixels)
        owners = found or [{"frame": frame} for frame in frames]
        read = [(box, pack(mask)) for box, mask in zip(owners, pixels, strict=True)]
    elif found:
        read, lost = [], 0
        for frame in range(given.frames):
            mask = pixels[frame if len(pixels) > 1 else 0]
            own, left = _shared([box for box in found if box["frame"] == frame], mask)
            read, lost = read + own, lost + left
        remarks = (f"mask: {lost:,} pixels lie in no box and belong to no object",) if lost else ()
    else:
        masks_of = [(frame, pixels[frame if len(pixels) > 1 else 0]) for frame in range(given.frames)]
        read = [
            ({"frame": frame}, part)
            for frame, mask in masks_of
            for part in ([_packed(each) for each in islands(mask)] if split_islands else [pack(mask)])
            if part.width
        ]
    return _made(given, read, label, min_area, remarks)


def _pixels(masks: torch.Tensor, size: _Size, threshold: float) -> torch.Tensor:
    """bool [N, H, W] of the images' size."""
    if isinstance(masks, torch.Tensor) and masks.ndim == 3 and len(masks) == 0:
        return torch.zeros(0, size.height, size.width, dtype=torch.bool)
    clean = without_dust(masks, threshold)
    return match_masks(clean, len(clean), size.height, size.width) > 0


def _is_one_per_object(pixels: torch.Tensor, boxes: list[Box], size: _Size, masks_are: MasksAre) -> bool:
    count = len(boxes) if boxes else len(pixels) if size.frames == 1 or len(pixels) == 0 else -1
    if masks_are == "one per object":
        if len(pixels) != count:
            wanted = (
                f"{len(boxes)} boxes" if boxes else f"{size.frames} images without boxes, which tell whose they are"
            )
            raise BadInput(f"mask: {len(pixels)} masks, one per object, for {wanted}; give a mask for each box.")
        return True
    if masks_are == "one per image" or len(pixels) != count:
        return False
    if len(pixels) not in (1, size.frames):
        return True
    if not boxes or len(pixels) == 1:
        return False
    # As many images, boxes and masks: each mask lies in its own box, or in the boxes of its image.
    by_object = sum(_share_in(mask, [box]) for mask, box in zip(pixels, boxes, strict=True))
    by_image = sum(
        _share_in(mask, [box for box in boxes if box["frame"] == frame]) for frame, mask in enumerate(pixels)
    )
    return by_object > by_image


def _share_in(mask: torch.Tensor, boxes: list[Box]) -> float:
    """The share of a mask's pixels that lie in boxes; an empty mask lies in no box."""
    inside = torch.zeros_like(mask)
    for box in boxes:
        inside[_window(box)] = True
    total = int(mask.sum())
    return int((mask & inside).sum()) / total if total else float(not boxes)


def _shared(boxes: list[Box], mask: torch.Tensor) -> tuple[list[tuple[Box, PackedMask]], int]:
    """What of an image's mask belongs to each of its boxes, and how many pixels belong to none."""
    shares = [torch.zeros_like(mask) for _ in boxes]
    lost = 0
    for island in islands(mask):
        whole_area = int(island.pixels.sum())
        place = (island.rows, island.columns)
        inside = [torch.zeros_like(mask) for _ in boxes]
        for box, own in zip(boxes, inside, strict=True):
            own[_window(box)] = True
        parts = [own[place] & island.pixels for own in inside]
        whole = [index for index, part in enumerate(parts) if int(part.sum()) >= WITHIN * whole_area]
        if whole:
            best = max(whole, key=lambda index: _overlap(boxes[index], island))
            shares[best][place] |= island.pixels  # masks reach a little beyond the boxes that detectors draw
            continue
        for share, part in zip(shares, parts, strict=True):
            share[place] |= part
        taken = torch.stack(parts).any(dim=0) if parts else torch.zeros_like(island.pixels)
        lost += whole_area - int(taken.sum())
    return [(box, pack(share)) for box, share in zip(boxes, shares, strict=True)], lost


def _overlap(box: Box, island: Island) -> float:
    """Intersection over union of a box and an island's bounds."""
    wide = min(box["x"] + box["width"], island.columns.stop) - max(box["x"], island.columns.start)
    high = min(box["y"] + box["height"], island.rows.stop) - max(box["y"], island.rows.start)
    common = max(wide, 0) * max(high, 0)
    bounds = (island.columns.stop - island.columns.start) * (island.rows.stop - island.rows.start)
    return common / (box["width"] * box["height"] + bounds - common)


def _window(box: Box) -> tuple[slice, slice]:
    """The pixels that a box covers, those at its border included."""
    return (
        slice(math.floor(box["y"]), math.ceil(box["y"] + box["height"])),
        slice(math.floor(box["x"]), math.ceil(box["x"] + box["width"])),
    )


def _rectangle(box: Box) -> PackedMask:
    """The pixels whose centres a box holds; at least one."""
    left = min(round(box["x"]), math.ceil(box["x"] + box["width"]) - 1)
    top = min(round(box["y"]), math.ceil(box["y"] + box["height"]) - 1)
    wide = max(round(box["x"] + box["width"]) - left, 1)
    tall = max(round(box["y"] + box["height"]) - top, 1)
    return pack(torch.ones(tall, wide, dtype=torch.bool))._replace(x=left, y=top)


def _packed(island: Island) -> PackedMask:
    return pack(island.pixels)._replace(x=island.columns.start, y=island.rows.start)


def _made(size: _Size, read: list[tuple[Box, PackedMask]], label: str, min_area: int, remarks: tuple[str, ...]) -> Read:
    objects, small = [], 0
    for box, mask in read:
        if min_area and area(mask) < min_area:
            small += 1
            continue
        bounds = (mask.x, mask.y, mask.width, len(mask.bits))
        place = tuple(float(box[key]) for key in ("x", "y", "width", "height")) if "width" in box else bounds
        x, y, width, height = place
        name = str(box.get("label") or label)
        score = 1.0 if box.get("score") is None else float(box["score"])
        corner = (float(x), float(y), float(width), float(height))
        objects.append(SegmentedObject(int(box["frame"]), corner, name, score, mask))
    if small:
        remarks += (f"min_area: {small} smaller object{'' if small == 1 else 's'} left out",)
    return Read(Objects(tuple(objects), *size), remarks)
