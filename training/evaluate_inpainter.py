"""Held-out figures of the starter inpainter: what the starter detector, which had no part in its training, finds."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from trilemma.models.detection.base import Detector
from trilemma.models.detection.loading import load_detector
from trilemma.models.inpainting.base import Inpainter, InpaintRequest
from trilemma.models.inpainting.loading import load_inpainter
from trilemma.models.pictures.regions import crop, holes_of_masks, stitch

from .average_precision import box_iou
from .cards import Figures
from .evaluate_detector import BOX_THRESHOLD, find
from .inpainter import DRAWN, GUIDANCE_SCALE, PROMISED, SIDE, STEPS, STYLE
from .scenes import Sprites, compose

CONTEXT_FACTOR = 1.6
MARGIN = 0.05
LEAST_SIDE = 32
WIDEST_ASPECT = 1.7
STREAM = 40961
SHOWN = 5


class Edit(NamedTuple):
    """A scene, one object of which is to be replaced. S pixels a side."""

    image: np.ndarray
    """uint8 [S, S, 3]."""
    hole: np.ndarray
    """float32 [4], x0 y0 x1 y1 in whole pixels: the object's box and a margin."""
    remaining: frozenset[str]
    """Names of the other objects."""


class Verdict(NamedTuple):
    """What the detector sees in the hole, with IoU 0.5 or more and above its threshold."""

    found: bool
    """The wanted object, when asked for it alone."""
    mistaken: bool
    """A wrong name, when asked for it alone: one at random of the drawn names that the scene does not show."""
    confused: bool
    """Something else, when asked for the wanted object together with all drawn names that the scene does not show."""


def evaluate(folder: Path, sprites: Sprites, holes_per_name: int = 25) -> Figures:
    """Figures over `holes_per_name` holes for every measured name.

    `folder`/samples.png shows one row per name: the first scene before, then the first scenes after.
    """
    inpainter = load_inpainter(folder)
    detector = load_detector(folder.parent / "emoji_detector")
    verdicts: dict[str, list[Verdict]] = {}
    real: list[Verdict] = []
    rows: list[list[np.ndarray]] = []
    for index, name in enumerate(PROMISED):
        seeds = [[STREAM, index, hole] for hole in range(holes_per_name)]
        edits = [draw_edit(np.random.default_rng(seed), sprites, name) for seed in seeds]
        results = replace_objects(inpainter, edits, f"a {name}", seed=STREAM + index)
        verdicts[name] = [
            judge(detector, edit._replace(image=result), name, np.random.default_rng([*seed, 1]))
            for seed, edit, result in zip(seeds, edits, results, strict=True)
        ]
        for seed in seeds:
            rng = np.random.default_rng([*seed, 2])
            real.append(judge(detector, draw_real(rng, sprites, name), name, rng))
        rows.append([edits[0].image, *results[:SHOWN]])
    draw_sheet(rows).quantize().save(folder / "samples.png", optimize=True)
    return summarise(verdicts, real)


def draw_edit(rng: np.random.Generator, sprites: Sprites, wanted: str) -> Edit:
    """A new scene of 1 to 3 sprites, none of the wanted name; the hole is the box of one that is not small or long."""
    while True:
        scene = compose(rng, sprites, size=128, count=(1, 3), scale=(0.3, 0.6))
        sides = scene.boxes[:, 2:] - scene.boxes[:, :2]
        suited = (sides.min(axis=1) >= LEAST_SIDE) & (sides.max(axis=1) <= WIDEST_ASPECT * sides.min(axis=1))
        if suited.any() and wanted not in scene.names:
            chosen = int(suited.argmax())
            box, side = scene.boxes[chosen], sides[chosen]
            grown = np.concatenate([box[:2] - MARGIN * side, box[2:] + MARGIN * side])
            hole = np.clip(np.round(grown), 0, 128).astype(np.float32)
            return Edit(scene.image, hole, frozenset(scene.names[:chosen] + scene.names[chosen + 1 :]))


def draw_real(rng: np.random.Generator, sprites: Sprites, name: str) -> Edit:
    """For comparison, a new scene with the real sprite of this name alone, and its box."""
    scene = compose(rng, {(name, STYLE): sprites[name, STYLE]}, size=128, count=(1, 1), scale=(0.3, 0.6))
    return Edit(scene.image, scene.boxes[0], frozenset())


def replace_objects(inpainter: Inpainter, edits: Sequence[Edit], prompt: str, seed: int) -> list[np.ndarray]:
    """Crop, repaint and stitch every scene; uint8 [S, S, 3] each."""
    images = torch.from_numpy(np.stack([edit.image for edit in edits])) / 255
    masks = torch.zeros(images.shape[:3])
    for mask, edit in zip(masks, edits, strict=True):
        x0, y0, x1, y1 = edit.hole.astype(int)
        mask[y0:y1, x0:x1] = 1
    cropped = crop(images, holes_of_masks(masks, images), size=SIDE, context_factor=CONTEXT_FACTOR)
    request = InpaintRequest(
        cropped.images, cropped.masks, prompt, steps=STEPS, guidance_scale=GUIDANCE_SCALE, seed=seed
    )
    painted = inpainter.inpaint(request, batch_size=len(edits))
    return list(_to_bytes(stitch(cropped.crops, painted).images))


def judge(detector: Detector, edit: Edit, name: str, rng: np.random.Generator) -> Verdict:
    others = [drawn for drawn in DRAWN if drawn not in {name, *edit.remaining}]

    def names_in_hole(asked: Sequence[str]) -> set[str]:
        boxes = find(detector, edit.image, asked)
        overlapping = (box for box in boxes if box_iou(box.box, edit.hole[None]).max() >= 0.5)
        return {box.name for box in overlapping if box.score > BOX_THRESHOLD}

    return Verdict(
        found=bool(names_in_hole([name])),
        mistaken=bool(names_in_hole([others[rng.integers(len(others))]])),
        confused=bool(names_in_hole([name, *others]) - {name}),
    )


def summarise(verdicts: Mapping[str, Sequence[Verdict]], real: Sequence[Verdict]) -> Figures:
    every = [verdict for group in verdicts.values() for verdict in group]
    shares = {name: _share(verdict.found for verdict in group) for name, group in verdicts.items()}
    return {
        "holes": len(every),
        "names": len(verdicts),
        "steps": STEPS,
        "guidance scale": GUIDANCE_SCALE,
        "detector's box threshold": BOX_THRESHOLD,
        "wanted object found": _share(verdict.found for verdict in every),
        "wrong name found": _share(verdict.mistaken for verdict in every),
        "something else found, asked for all names at once": _share(verdict.confused for verdict in every),
        "worst name found": min(shares.values()),
        **{f"found: {name}": share for name, share in shares.items()},
        "real sprites: found": _share(verdict.found for verdict in real),
        "real sprites: wrong name found": _share(verdict.mistaken for verdict in real),
        "real sprites: something else found, asked for all names at once": _share(verdict.confused for verdict in real),
    }


def _share(outcomes: Iterable[bool]) -> float:
    return float(np.mean(list(outcomes)))


def draw_sheet(rows: Sequence[Sequence[np.ndarray]]) -> Image.Image:
    """Equally long rows of pictures uint8 [S, S, 3], with gaps of 2 pixels."""
    framed = [[np.pad(picture, ((2, 0), (2, 0), (0, 0)), constant_values=255) for picture in row] for row in rows]
    return Image.fromarray(np.concatenate([np.concatenate(row, axis=1) for row in framed]))


def _to_bytes(images: Tensor) -> np.ndarray:
    return (images * 255).round().byte().numpy()
