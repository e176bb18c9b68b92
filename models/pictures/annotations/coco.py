"""COCO's JSON of instances (cocodataset.org/#format-data)."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

import torch

from ...errors import BadInput
from ...values import PackedMask, SegmentedObject
from ..packed import area, pack, paint
from . import rle
from .base import Annotated, numbers, pairs, polygons, rectangle

UNNAMED = "object"


def to_json(images: Sequence[Annotated]) -> str:
    """All images in one document: masks as compressed runs, boxes as detected, scores beside them.

    Ids begin with 1: both of COCO's evaluators count an annotation of id 0 as unmatched.
    """
    labels = sorted({item.label or UNNAMED for image in images for item in image.objects})
    categories = {label: number for number, label in enumerate(labels, 1)}
    annotations: list[dict[str, Any]] = []
    for image_id, image in enumerate(images, 1):
        for item in image.objects:
            canvas = torch.zeros(image.height, image.width, dtype=torch.bool)
            paint(canvas, item.mask)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": categories[item.label or UNNAMED],
                    "bbox": [round(value, 3) for value in item.box],
                    "area": area(item.mask),
                    "iscrowd": 0,
                    "score": round(item.score, 6),
                    "segmentation": {"size": [image.height, image.width], "counts": rle.encode(canvas)},
                }
            )
    return json.dumps(
        {
            "images": [
                {"id": number, "file_name": image.name, "height": image.height, "width": image.width}
                for number, image in enumerate(images, 1)
            ],
            "annotations": annotations,
            "categories": [{"id": number, "name": label} for label, number in categories.items()],
        }
    )


def read(document: Any, wanted: Collection[str] | None = None) -> list[Annotated]:
    """The images of a document in its order, with or without objects; of those that are not wanted no objects.

    wanted: names of images without folder and ending; None for all. Masks may be runs or polygons; where there is
    none, an object is its box. Regions of crowds are left out, as they are no objects.

    Raises:
        BadInput: it is no such document, or something in it is broken.
    """
    try:
        names = {entry["id"]: str(entry["name"]) for entry in document.get("categories", [])}
        images = {
            entry["id"]: (str(entry["file_name"]), int(entry["height"]), int(entry["width"]))
            for entry in document["images"]
        }
        annotations = [(entry["image_id"], entry.get("category_id"), entry) for entry in document["annotations"]]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadInput(f"path: the file lacks {error} of COCO's instances; choose another one.") from None
    found: dict[Any, list[SegmentedObject]] = {number: [] for number in images}
    for number, category, entry in annotations:
        if number not in images or entry.get("iscrowd"):
            continue
        name, height, width = images[number]
        if wanted is not None and stem(name) not in wanted:
            continue
        where = f"annotation {entry.get('id')}"
        mask = _mask(entry, height, width, where)
        box = entry.get("bbox") or (mask.x, mask.y, mask.width, len(mask.bits))
        x, y, wide, high = numbers(box, 4, where)
        score = numbers([entry.get("score", 1.0)], 1, where)[0]
        found[number].append(SegmentedObject(0, (x, y, wide, high), names.get(category, ""), score, mask))
    return [Annotated(*images[number], tuple(objects)) for number, objects in found.items()]


def stem(name: str) -> str:
    """The name of a file without folder and ending."""
    return name.replace("\\", "/").rpartition("/")[2].rpartition(".")[0] or name


def _mask(entry: dict[str, Any], height: int, width: int, where: str) -> PackedMask:
    shape = entry.get("segmentation")
    if isinstance(shape, dict):
        mask = rle.decode(shape, where)
        if tuple(mask.shape) != (height, width):
            raise BadInput(f"path: {where} has a mask of another size than its image; repair the file.")
        return pack(mask)
    if shape:
        return polygons([pairs(numbers(part, -1, where)) for part in shape], height, width)
    x, y, wide, high = numbers(entry.get("bbox"), 4, where)
    return rectangle(x, y, wide, high, height, width)
