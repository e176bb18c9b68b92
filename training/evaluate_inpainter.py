"""Held-out figures of the starter inpainter: what the starter detector, which had no part in its training, finds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from . import _pack  # noqa: F401
from .average_precision import box_iou
from .cards import Figures
from .evaluate_detector import BOX_THRESHOLD, find
from .inpainter import DRAWN, SIDE
from .scenes import Sprites, compose

from trilemma.models.detection.grounding_dino import Detector, load_detector  # isort: skip
from trilemma.models.inpainting.loading import load_inpainter  # isort: skip
from trilemma.models.inpainting.stable_diffusion import Inpainter, inpaint  # isort: skip
from trilemma.models.regions import crop, holes_of_masks, stitch  # isort: skip

STEPS = 20
GUIDANCE_SCALE = 2.0
CONTEXT_FACTOR = 1.6
MARGIN = 0.05
LEAST_SIDE = 32
WIDEST_ASPECT = 1.7
STREAM = 40961
SHOWN = 7


class Edit(NamedTuple):
    """A scene, one object of which is to be replaced. S pixels a side."""

    image: np.ndarray
    """uint8 [S, S, 3]."""
    hole: np.ndarray
    """float32 [4], x0 y0 x1 y1 in whole pixels: the object's box and a margin."""


class Verdict(NamedTuple):
    """What the detector sees in the hole, with IoU 0.5 or more and above its threshold."""

    found: bool
    """The wanted object, when asked for it alone."""
    mistaken: bool
    """Another of the drawn names, when asked for all of them together."""


def evaluate(folder: Path, sprites: Sprites, holes_per_name: int = 25) -> Figures:
    """Figures over `holes_per_name` holes for every name.

    `folder`/samples.png shows one row per name: the first scene before, then the first scenes after.
    """
    inpainter = load_inpainter(folder, lambda parameters: torch.float32)
    detector = load_detector(folder.parent / "emoji_detector")
    verdicts: dict[str, list[Verdict]] = {}
    rows: list[list[np.ndarray]] = []
    for index, name in enumerate(DRAWN):
        edits = [draw_edit(np.random.default_rng([STREAM, index, hole]), sprites) for hole in range(holes_per_name)]
        results = replace_objects(inpainter, edits, f"a {name}", seed=STREAM + index)
        verdicts[name] = [judge(detector, result, edit.hole, name) for edit, result in zip(edits, results, strict=True)]
        rows.append([edits[0].image, *results[:SHOWN]])
    draw_sheet(rows).save(folder / "samples.png")
    return summarise(verdicts)


def draw_edit(rng: np.random.Generator, sprites: Sprites) -> Edit:
    """A new scene of 1 to 3 sprites with one that is neither small nor long, whose box is the hole."""
    while True:
        scene = compose(rng, sprites, size=128, count=(1, 3), scale=(0.3, 0.6))
        sides = scene.boxes[:, 2:] - scene.boxes[:, :2]
        suited = (sides.min(axis=1) >= LEAST_SIDE) & (sides.max(axis=1) <= WIDEST_ASPECT * sides.min(axis=1))
        if suited.any():
            box, side = scene.boxes[suited][0], sides[suited][0]
            grown = np.concatenate([box[:2] - MARGIN * side, box[2:] + MARGIN * side])
            return Edit(scene.image, np.clip(np.round(grown), 0, 128).astype(np.float32))


def replace_objects(inpainter: Inpainter, edits: Sequence[Edit], prompt: str, seed: int) -> list[np.ndarray]:
    """Crop, repaint and stitch every scene; uint8 [S, S, 3] each."""
    images = torch.from_numpy(np.stack([edit.image for edit in edits])) / 255
    masks = torch.zeros(images.shape[:3])
    for mask, edit in zip(masks, edits, strict=True):
        x0, y0, x1, y1 = edit.hole.astype(int)
        mask[y0:y1, x0:x1] = 1
    cropped = crop(images, holes_of_masks(masks, images), size=SIDE, context_factor=CONTEXT_FACTOR)
    painted = inpaint(
        inpainter,
        cropped.images,
        cropped.masks,
        prompt,
        steps=STEPS,
        guidance_scale=GUIDANCE_SCALE,
        seed=seed,
        batch_size=len(edits),
    )
    return list(_to_bytes(stitch(cropped.crops, painted).images))


def judge(detector: Detector, image: np.ndarray, hole: np.ndarray, name: str) -> Verdict:
    alone, together = (
        {
            box.name
            for box in find(detector, image, names)
            if box.score > BOX_THRESHOLD and box_iou(box.box, hole[None]).max() >= 0.5
        }
        for names in ([name], DRAWN)
    )
    return Verdict(name in alone, bool(together - {name}))


def summarise(verdicts: Mapping[str, Sequence[Verdict]]) -> Figures:
    every = [verdict for group in verdicts.values() for verdict in group]
    shares = {name: float(np.mean([verdict.found for verdict in group])) for name, group in verdicts.items()}
    return {
        "holes": len(every),
        "names": len(verdicts),
        "steps": STEPS,
        "guidance scale": GUIDANCE_SCALE,
        "detector's box threshold": BOX_THRESHOLD,
        "wanted object found, IoU 0.5": float(np.mean([verdict.found for verdict in every])),
        "another drawn name found, IoU 0.5": float(np.mean([verdict.mistaken for verdict in every])),
        "worst name found": min(shares.values()),
        **{f"found: {name}": share for name, share in shares.items()},
    }


def draw_sheet(rows: Sequence[Sequence[np.ndarray]]) -> Image.Image:
    """Equally long rows of pictures uint8 [S, S, 3], with gaps of 2 pixels."""
    framed = [[np.pad(picture, ((2, 0), (2, 0), (0, 0)), constant_values=255) for picture in row] for row in rows]
    return Image.fromarray(np.concatenate([np.concatenate(row, axis=1) for row in framed]))


def _to_bytes(images: Tensor) -> np.ndarray:
    return (images * 255).round().byte().numpy()
