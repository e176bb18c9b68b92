"""Several prompts over several pictures, words to masks, against the algorithm of comfyui_segment_anything (storyicon).

Each of its runs has one prompt. For each picture, it asks Grounding DINO, lets SAM encode the picture, and predicts one
mask for each box. Here transformers and package segment_anything do what its copies of both networks do.
"""

from __future__ import annotations

import numpy as np
import torch
from trilemma.models.segmentation.decoding import segment
from trilemma.tests.benchmarks import detection
from trilemma.tests.benchmarks.published_segmenters import (
    Pair,
    assert_same,
    masks_of,
    paired,
    prompts_of,
    random_boxes,
    segmenter,
)
from trilemma.tests.benchmarks.timing import Comparison, compare_results
from trilemma.tests.segmentation import kit

PROMPTS = ("a cat. a remote control.", "a dog.", "a cup of tea.")
PICTURES = 4
BOXES = 3
"""Of each picture and prompt. They are given: what the detectors find is compared in detection.py, and the boxes of
random weights overlap too much to be told apart."""
AT_LEAST = 2.2


def compare_runs(detectors: detection.Published, segmenters: Pair, pictures: np.ndarray) -> Comparison:
    """Of pictures uint8 [B, H, W, 3]; the same masks."""
    chosen = [
        [random_boxes(BOXES, len(pictures) * run + i) for i in range(len(pictures))] for run in range(len(PROMPTS))
    ]

    def theirs() -> np.ndarray:
        masks = []
        for prompt, boxes in zip(PROMPTS, chosen, strict=True):
            for picture, corners in zip(pictures, boxes, strict=True):
                detection.theirs_of(detectors, picture, prompt)
                predictor = segmenters.theirs
                predictor.set_image(picture)
                asked = predictor.transform.apply_boxes_torch(torch.from_numpy(corners), picture.shape[:2])
                found, _, _ = predictor.predict_torch(None, None, asked, multimask_output=False)
                masks.append(found[:, 0].numpy())
        return np.concatenate(masks)

    def ours() -> np.ndarray:
        detection.backbone_of(detectors).forget()
        for prompt in PROMPTS:
            detection.ours_of(detectors, pictures, prompt)
        embedding = segmenters.ours.encode(torch.from_numpy(pictures).float() / 255)
        masks = []
        for boxes in chosen:
            prompts = [prompt for frame, corners in enumerate(boxes) for prompt in prompts_of(corners, frame)]
            masks.append(masks_of(segment(segmenters.ours, embedding, prompts)))
        return np.concatenate(masks)

    times, expected, found = compare_results(theirs, ours, 1)
    assert_same(found, expected)
    return times


@torch.inference_mode()
def rows() -> list[tuple[str, Comparison, float]]:
    """What is compared, the times, and the least ratio that is promised."""
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (PICTURES, kit.HEIGHT, kit.WIDTH, 3), dtype=np.uint8)
    what = f"text to masks, Grounding DINO and SAM ViT-B, {PICTURES} pictures, {len(PROMPTS)} prompts"
    return [(what, compare_runs(detection.published(), paired(segmenter("sam")), pictures), AT_LEAST)]
