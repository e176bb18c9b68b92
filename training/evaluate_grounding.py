"""What grounding adds to inpainting: the same edits with the whole picture, the detector's box, or the mask as hole.

`python -m training.evaluate_grounding` replaces an object in each of 60 new scenes by the starters, three times, and
prints what each way did. What is done is kept in a file, from where it goes on.

Each way repaints a crop at the inpainter's 64 pixels with the same prompt and seed, and pastes it back. All are judged
alike: is the new object where the old one was (by the detector: in the true box, and the old one gone), and what
happened outside the true box and a margin.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from trilemma.models.detection.base import Detector
from trilemma.models.detection.loading import load_detector
from trilemma.models.detection.selection import select
from trilemma.models.inpainting.base import Inpainter, InpaintRequest
from trilemma.models.inpainting.loading import load_inpainter
from trilemma.models.pictures.boxes import Box
from trilemma.models.pictures.regions import Hole, crop, holes_of_masks, holes_of_objects, pasted, stitch
from trilemma.models.pictures.seam import seam_score
from trilemma.models.scoring.metrics import edits
from trilemma.models.scoring.metrics.pairs import match_pairs
from trilemma.models.scoring.metrics.shares import share
from trilemma.models.segmentation.base import Segmenter
from trilemma.models.segmentation.decoding import segment
from trilemma.models.segmentation.loading import load_segmenter
from trilemma.models.segmentation.prompts import read_prompts

from . import scenes
from .command import RUNS, STARTERS
from .evaluate_detector import BOX_THRESHOLD, NMS
from .evaluate_inpainter import LEAST_SIDE, WIDEST_ASPECT
from .inpainter import GUIDANCE_SCALE, PROMISED, SIDE, STEPS
from .scenes import Scene, Sprites, compose, load_sprites

COUNT = 60
STREAM = 60013
CONTEXT_FACTOR = 1.6
GROW, SOFTEN = 2, 3
"""Pixels, of scenes of 128."""
MARGIN = 6
"""Pixels around the true box that may change: what the hole is grown by, softened by, and an inexact box."""
WAYS = ("whole picture", "detector's box", "SAM's mask")
Row = dict[str, Any]


class Models(NamedTuple):
    detector: Detector
    segmenter: Segmenter
    inpainter: Inpainter


class Task(NamedTuple):
    """A scene, number of the object that is to be replaced, and by what."""

    scene: Scene
    chosen: int
    wanted: str


def draw_task(index: int, sprites: Sprites) -> Task:
    """A new scene of 2 to 4 sprites; the object to replace is not small or long, and its name is there once."""
    rng, wanted = np.random.default_rng([STREAM, index]), PROMISED[index % len(PROMISED)]
    while True:
        scene = compose(rng, sprites, size=128, count=(2, 4), scale=(0.3, 0.5))
        sides = scene.boxes[:, 2:] - scene.boxes[:, :2]
        for chosen, side in enumerate(sides):
            suited = side.min() >= LEAST_SIDE and side.max() <= WIDEST_ASPECT * side.min()
            if suited and scene.names.count(scene.names[chosen]) == 1 and wanted not in scene.names:
                return Task(scene, chosen, wanted)


def run_task(task: Task, models: Models, seed: int) -> list[Row]:
    """A row for each of WAYS. seconds: of the processor, from the picture to the edited one."""
    image = torch.tensor(task.scene.image)[None] / 255
    old = task.scene.names[task.chosen]
    return [
        {"way": way, "old": old, "new": task.wanted, **_edit(image, task, models, hole, seed)}
        for way, hole in zip(WAYS, (_whole, _box, _mask), strict=True)
    ]


def _edit(image: Tensor, task: Task, models: Models, find: Callable[..., list[Hole]], seed: int) -> Row:
    begun = time.process_time()
    holes = find(image, task.scene.names[task.chosen], models)
    after, weight = image, torch.zeros(image.shape[:3])
    if holes:
        whole = find is _whole
        cut = crop(image, holes, SIDE, 1.0 if whole else CONTEXT_FACTOR, 0 if whole else GROW, 0 if whole else SOFTEN)
        request = InpaintRequest(
            cut.images, cut.masks, f"a {task.wanted}", steps=STEPS, guidance_scale=GUIDANCE_SCALE, seed=seed
        )
        after = stitch(cut.crops, models.inpainter.inpaint(request, batch_size=1)).images
        weight = pasted(cut.crops)
    seconds = time.process_time() - begun
    return {"found": bool(holes), "seconds": seconds, **_judge(image, after, weight, task, models.detector)}


def _whole(image: Tensor, old: str, models: Models) -> list[Hole]:
    return holes_of_masks(torch.ones(image.shape[:3]), image)


def _detected(image: Tensor, old: str, models: Models) -> list[Box]:
    detections = models.detector.detect(image, f"a {old}", 1)
    return select(detections, box_threshold=BOX_THRESHOLD, nms_threshold=NMS, top_k=1).boxes[0]


def _box(image: Tensor, old: str, models: Models) -> list[Hole]:
    masks = torch.zeros(image.shape[:3])
    boxes = _detected(image, old, models)
    for box in boxes:
        left, top = round(box["x"]), round(box["y"])
        masks[0, top : round(box["y"] + box["height"]), left : round(box["x"] + box["width"])] = 1
    return holes_of_masks(masks, image) if boxes else []


def _mask(image: Tensor, old: str, models: Models) -> list[Hole]:
    boxes = _detected(image, old, models)
    if not boxes:
        return []
    prompts = read_prompts(1, image.shape[1], image.shape[2], [boxes])
    return holes_of_objects(segment(models.segmenter, models.segmenter.encode(image), prompts), image)


def _judge(before: Tensor, after: Tensor, weight: Tensor, task: Task, detector: Detector) -> Row:
    left, top, right, bottom = (int(edge) for edge in task.scene.boxes[task.chosen])
    true = torch.zeros(before.shape[:3])
    true[0, top:bottom, left:right] = 1
    allowed = torch.zeros_like(true)
    allowed[0, max(0, top - MARGIN) : bottom + MARGIN, max(0, left - MARGIN) : right + MARGIN] = 1
    pairs = match_pairs(before, after)
    question = edits.ask(f"a {task.wanted}", f"a {task.scene.names[task.chosen]}")
    (seen,) = edits.judge(pairs, true, question, detector.detect(after, question.prompt, 1))
    (rest,) = edits.judge(pairs, allowed)
    edge = bool((weight != weight[0, 0, 0]).any())
    others = [name for place, name in enumerate(task.scene.names) if place != task.chosen]
    boxes = select(detector.detect(after, " . ".join(others), 1), box_threshold=BOX_THRESHOLD, nms_threshold=NMS)
    kept = {box["label"] for box in boxes.boxes[0]}
    assert seen.seen is not None
    return {
        "done": seen.seen.done,
        "untouched": rest.untouched_difference == 0,
        "psnr": rest.untouched_psnr if rest.untouched_difference else None,
        "others": fmean(name in kept for name in others),
        "seam": seam_score(before[0], after[0], weight[0]) if edge else None,
    }


def summarise(rows: Sequence[Row]) -> str:
    """The figures of each way as a table of Markdown."""
    lines = [
        "| hole | edit done | rest untouched | PSNR of the rest | other objects still found | seam | CPU seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for way in WAYS:
        own = [row for row in rows if row["way"] == way]
        done = share([row["done"] for row in own])
        untouched = share([row["untouched"] for row in own])
        psnr = [row["psnr"] for row in own if row["psnr"] is not None]
        seams = [row["seam"] for row in own if row["seam"] is not None]
        lines.append(
            f"| {way} | {done.value:.0%} ({done.low:.0%} to {done.high:.0%}) | {untouched.value:.0%} | "
            f"{f'{fmean(psnr):.1f} dB' if psnr else 'unchanged'} | {fmean(row['others'] for row in own):.0%} | "
            f"{f'{fmean(seams):.4f}' if seams else 'none'} | {fmean(row['seconds'] for row in own):.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=scenes.DATA)
    parser.add_argument("--progress", type=Path, default=RUNS / "grounding.jsonl", help="the file of what is done")
    parser.add_argument("--scenes", type=int, default=COUNT)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.progress.parent.mkdir(parents=True, exist_ok=True)
    told = arguments.progress.read_text().splitlines() if arguments.progress.exists() else []
    sprites = load_sprites(arguments.data)
    models = Models(
        load_detector(STARTERS / "emoji_detector"),
        load_segmenter(STARTERS / "emoji_segmenter"),
        load_inpainter(STARTERS / "emoji_inpainter"),
    )
    for index in range(len(told), arguments.scenes):
        with torch.inference_mode():
            rows = run_task(draw_task(index, sprites), models, STREAM + index)
        told.append(json.dumps(rows))
        with arguments.progress.open("a") as file:
            file.write(told[-1] + "\n")
    print(summarise([row for line in told[: arguments.scenes] for row in json.loads(line)]))


if __name__ == "__main__":
    main()
