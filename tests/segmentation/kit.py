"""How the kit asks segmenters: one picture, its prompts, and answers that are compared with a golden."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from trilemma.models.segmentation.base import Segmenter
from trilemma.models.segmentation.loading import load_segmenter
from trilemma.models.segmentation.prompts import Point
from trilemma.models.segmentation.sam import tiny_vit
from trilemma.models.weights import check_fit
from trilemma.tests import reference_kit

HEIGHT, WIDTH = 480, 640
AREA_TOLERANCE = 20
"""Pixels of 480 x 640 that may change sides of the threshold, by the kit's notes."""


def picture() -> torch.Tensor:
    """The kit's, float32 [1, HEIGHT, WIDTH, 3]."""
    return torch.from_numpy(reference_kit.block_image(7, HEIGHT, WIDTH))[None].float() / 255


def load(case: dict[str, Any], path: Path) -> Segmenter:
    """From a file in the published layout, which is gone then."""
    torch.save(reference_kit.weights(case), path)
    loaded = load_segmenter(path)
    path.unlink()
    return loaded


def assert_accounted_for(
    entries: Iterable[reference_kit.Entry], build: Callable[[dict[str, torch.Tensor]], nn.ModuleDict], classifier: bool
) -> None:
    """A published file of SAM's kin has what the network is made of that `build` makes for it, counts of batches beside
    weights, and a classifier or none."""
    published = {entry.name: torch.empty(entry.shape, device="meta") for entry in entries}
    found = tiny_vit.without_counts(published)
    check_fit(dict(tiny_vit.in_file(build(found), found)), found, "the published file")
    assert (found.keys() & tiny_vit.CLASSIFIER) == (tiny_vit.CLASSIFIER if classifier else set())
    counts = published.keys() - found.keys()
    assert {name.replace("num_batches_tracked", "weight") for name in counts} <= found.keys()


def as_box(corners):
    x0, y0, x1, y1 = map(float, corners)
    return {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0}


def given(case: dict[str, Any]) -> dict[str, Any]:
    """Box and point prompts of a golden."""
    told = json.loads(str(reference_kit.inputs(case)["prompts"]))
    points = [Point(*map(float, xy), label) for xy, label in zip(told["points"], told["labels"], strict=True)]
    boxes = [as_box(corners) for corners in told["boxes"]]
    return {
        "box": as_box(told["box"]),
        "point": (Point(*map(float, told["point"]), 1),),
        "points": tuple(points),
        "boxes": boxes,
    }


def compare(
    case: dict[str, Any],
    segmenter: Segmenter,
    name: str,
    logits: torch.Tensor,
    ious: torch.Tensor,
    within: float = torch.inf,
) -> None:
    """An answer to prompts, [..., h, w] and [...]. within: what a reference hands logits on within."""
    full = [segmenter.upscale(mask, HEIGHT, WIDTH) for mask in logits.reshape(-1, *logits.shape[-2:])]
    full = torch.stack(full).reshape(*logits.shape[:-2], HEIGHT, WIDTH)
    answers = {f"{name}.low_res": logits.clamp(-within, within), f"{name}.iou": ious, f"{name}.mask_logits": full}
    reference_kit.compare(case, answers)
    with np.load(reference_kit.KIT / case["golden_dev"]) as golden:
        areas = (full > 0).sum(dim=(-1, -2)).flatten().numpy()
        np.testing.assert_allclose(areas, golden[f"out.{name}.mask_area.sub"], atol=AREA_TOLERANCE)
