"""What grounding adds, by the starters, of the shipped garden: the figures' rows, and that they go on from a file."""

import numpy as np
import pytest
import torch
from PIL import Image
from trilemma.models.detection.loading import load_detector
from trilemma.models.inpainting.loading import load_inpainter
from trilemma.models.pictures.example_scenes import SCENES
from trilemma.models.segmentation.loading import load_segmenter
from trilemma.training import evaluate_grounding
from trilemma.training.command import STARTERS
from trilemma.training.example_scenes import LAYOUTS
from trilemma.training.scenes import Scene

pytestmark = pytest.mark.slow

SIDE = 128


def garden():
    picture = np.asarray(Image.open(SCENES / "garden.png").convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX))
    _, placed = LAYOUTS["garden"]
    boxes = [
        [(each.x - each.size / 2) * SIDE, (each.y - each.size / 2) * SIDE,
         (each.x + each.size / 2) * SIDE, (each.y + each.size / 2) * SIDE]
        for each in placed
    ]  # fmt: skip
    names = tuple(each.name for each in placed)
    masks = np.zeros((len(names), SIDE, SIDE), bool)
    return Scene(picture, np.array(boxes, np.float32), names, ("noto",) * len(names), masks)


def test_a_hole_that_was_found_leaves_the_rest_untouched_and_the_whole_picture_does_not():
    scene = garden()
    models = evaluate_grounding.Models(
        load_detector(STARTERS / "emoji_detector"),
        load_segmenter(STARTERS / "emoji_segmenter"),
        load_inpainter(STARTERS / "emoji_inpainter"),
    )
    task = evaluate_grounding.Task(scene, scene.names.index("mushroom"), "pumpkin")
    with torch.inference_mode():
        rows = evaluate_grounding.run_task(task, models, seed=3)
    whole, box, mask = rows
    assert [row["way"] for row in rows] == [*evaluate_grounding.WAYS]
    assert not whole["done"] and not whole["untouched"] and whole["psnr"] < 20 and whole["seam"] is None
    for row in (box, mask):
        assert row["found"] and row["done"] and row["untouched"] and row["psnr"] is None
        assert row["others"] == 1 and 0 < row["seam"] < 0.1
    assert all(row["seconds"] > 0 for row in rows)
    table = evaluate_grounding.summarise(rows)
    assert "| whole picture | 0% (0% to 79%) | 0% | " in table
    assert "| detector's box | 100% (21% to 100%) | 100% | unchanged | 100% | " in table
