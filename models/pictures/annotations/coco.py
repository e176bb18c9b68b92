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
from .base import Annotated, box_of, entries, field, numbers, pairs, polygons, rectangle, score_of, side

UNNAMED = "object"
LAYOUT = "COCO's instances"


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
    none, an object is its box. Regions of crowds are left out, as they are no objects. A category without a name is
    called by its number.

    Raises:
        BadInput: it is no such document, or something in it is broken.
    """
    labels: dict[Any, str] = {}
    for entry in entries(document, "categories", LAYOUT) if "categories" in _members(document) else ():
        label = str(field(entry, "name", LAYOUT))
        if labels.setdefault(_id(entry, "id"), label) != label:
            raise BadInput(
                f"path: the categories {labels[entry['id']]!r} and {label!r} have the same id, {entry['id']}; repair "
                "the file."
            )
    images: dict[Any, tuple[str, int, int]] = {}
    for entry in entries(document, "images", LAYOUT):
        name = str(field(entry, "file_name", LAYOUT))
        image = (name, side(entry, "height", LAYOUT), side(entry, "width", LAYOUT))
        if images.setdefault(_id(entry, "id"), image) != image:
            raise BadInput(
                f"path: the images {images[entry['id']][0]!r} and {name!r} have the same id, {entry['id']}; repair the "
                "file."
            )
    found: dict[Any, list[SegmentedObject]] = {number: [] for number in images}
    crowds: dict[Any, int] = dict.fromkeys(images, 0)
    for entry in entries(document, "annotations", LAYOUT):
        number = _id(entry, "image_id")
        if number not in images or (wanted is not None and stem(images[number][0]) not in wanted):
            continue
        if entry.get("iscrowd") in (1, "1"):
            crowds[number] += 1
            continue
        _, height, width = images[number]
        where = f"annotation {entry.get('id')}"
        mask = _mask(entry, height, width, where)
        box = box_of(entry.get("bbox") or (mask.x, mask.y, mask.width, len(mask.bits)), where)
        category = None if entry.get("category_id") is None else _id(entry, "category_id")
        label = "" if category is None else labels.get(category, str(category))
        found[number].append(SegmentedObject(0, box, label, score_of(entry.get("score"), where), mask))
    return [
        Annotated(*images[number], tuple(objects), ("crowd",) * crowds[number]) for number, objects in found.items()
    ]


def _members(document: Any) -> Collection[str]:
    return document if isinstance(document, dict) else ()


def _id(entry: Any, name: str) -> int | str:
    """What numbers an entry; ids that are texts tell entries apart as well."""
    found = field(entry, name, LAYOUT)
    if not isinstance(found, (int, float, str)):
        raise BadInput(f"path: {name!r} of {LAYOUT} is {str(found)[:40]}, where a number is expected; repair the file.")
    return found  # type: ignore[return-value]


def stem(name: str) -> str:
    """The name of a file without folder and ending."""
    alone = name.replace("\\", "/").rpartition("/")[2]
    return alone.rpartition(".")[0] or alone


def _mask(entry: dict[str, Any], height: int, width: int, where: str) -> PackedMask:
    shape = entry.get("segmentation")
    if isinstance(shape, dict) and shape:
        if shape.get("size") != [height, width]:
            raise BadInput(f"path: {where} has a mask of another size than its image; repair the file.")
        return pack(rle.decode(shape, where))
    if isinstance(shape, list) and shape:
        return polygons([pairs(numbers(part, -1, where)) for part in shape], height, width)
    if shape:
        raise BadInput(f"path: {where} has {str(shape)[:40]!r} where runs or outlines are expected; repair the file.")
    return rectangle(*box_of(entry.get("bbox"), where), height, width)
