"""Grounding DINO beside transformers' processor, network and post-processing, in the published size."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from trilemma.models.detection.caption_folders import save
from trilemma.models.detection.kept_features import KeptFeatures
from trilemma.models.detection.loading import load_detector
from trilemma.models.detection.selection import select
from trilemma.tests.benchmarks.timing import Comparison, compare
from trilemma.tests.closeness import assert_close
from trilemma.tests.detection import berts

PROMPT = "a cat. a remote control."
TEN = (
    "a cat. a dog. a red car. a traffic light. a person with a hat. a bicycle. a window. a wooden chair. a cup of tea. "
    "a pigeon."
)
HEIGHT, WIDTH = 480, 640
MANY = 8
SIZE = {"shortest_edge": 800, "longest_edge": 1333}
BOXES_WITHIN = 1e-4
"""As fractions of the picture."""


def rows() -> list[tuple[str, Comparison, float]]:
    """What is compared, the times, and the least ratio that is promised."""
    from transformers import (
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        GroundingDinoProcessor,
    )

    # transformers' defaults are the published Swin-T; how long it takes does not depend on its weights.
    torch.manual_seed(0)
    network = GroundingDinoForObjectDetection(GroundingDinoConfig()).train(False)
    processor = GroundingDinoProcessor(GroundingDinoImageProcessor(size=SIZE), berts.tokenizer())
    with tempfile.TemporaryDirectory() as folder:
        detector = load_detector(save(network, Path(folder)))
    (backbone,) = [module for module in detector.network.modules() if isinstance(module, KeptFeatures)]
    pictures = np.random.default_rng(0).integers(0, 256, (MANY, HEIGHT, WIDTH, 3), dtype=np.uint8)

    @torch.no_grad()
    def theirs(count: int = 1) -> torch.Tensor:
        for picture in pictures[:count]:
            asked = processor(images=picture, text=PROMPT, return_tensors="pt", input_data_format="channels_last")
            answer = network(**asked)
            processor.post_process_grounded_object_detection(
                answer, asked["input_ids"], threshold=0.3, text_threshold=0.25, target_sizes=[(HEIGHT, WIDTH)]
            )
        return answer.pred_boxes

    @torch.no_grad()
    def again(count: int = 1, prompt: str = PROMPT) -> torch.Tensor:
        found = detector.detect(torch.from_numpy(pictures[:count]).float() / 255, prompt, count)
        select(found, box_threshold=0.3, text_threshold=0.25, nms_threshold=0.5)
        return found.boxes

    def ours(count: int = 1, prompt: str = PROMPT) -> torch.Tensor:
        backbone.forget()
        return again(count, prompt)

    assert_close(again(), theirs(), BOXES_WITHIN)
    what = f"Grounding DINO Swin-T, {WIDTH} x {HEIGHT}"
    return [
        (f"{what}, one prompt", compare(theirs, ours, 2), 1.4),
        (f"{what}, {MANY} pictures at once", compare(lambda: theirs(MANY), lambda: ours(MANY), 1), 1.5),
        (f"{what}, a second prompt beside the first", compare(ours, again, 2), 1 / 0.87),
        (f"{what}, ten phrases beside one", compare(ours, lambda: ours(prompt=TEN), 2), 0.5),
    ]
