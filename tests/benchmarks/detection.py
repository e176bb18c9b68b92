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
from trilemma.tests.detection.test_published import undoubted_ranks

PROMPT = "a cat. a remote control."
TEN = (
    "a cat. a dog. a red car. a traffic light. a person with a hat. a bicycle. a window. a wooden chair. a cup of tea. "
    "a pigeon."
)
HEIGHT, WIDTH = 480, 640
MANY = 8
SIZE = {"shortest_edge": 800, "longest_edge": 1333}
WITHIN = 1e-4
"""Of the largest box or logit."""


@torch.no_grad()
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

    def theirs(count: int = 1) -> torch.Tensor:
        for picture in pictures[:count]:
            asked = processor(images=picture, text=PROMPT, return_tensors="pt", input_data_format="channels_last")
            answer = network(**asked)
            processor.post_process_grounded_object_detection(
                answer, asked["input_ids"], threshold=0.3, text_threshold=0.25, target_sizes=[(HEIGHT, WIDTH)]
            )
        return answer.pred_boxes

    def again(count: int = 1, prompt: str = PROMPT) -> torch.Tensor:
        found = detector.detect(torch.from_numpy(pictures[:count]).float() / 255, prompt, count)
        select(found, box_threshold=0.3, text_threshold=0.25, nms_threshold=0.5)
        return found.boxes

    def ours(count: int = 1, prompt: str = PROMPT) -> torch.Tensor:
        backbone.forget()
        return again(count, prompt)

    asked = processor(images=pictures[0], text=PROMPT, return_tensors="pt", input_data_format="channels_last")
    expected, found = network(**asked), detector.network(**asked)
    # Nearly equal proposals change places; those that are told apart stand where they stood.
    kept = undoubted_ranks(expected.enc_outputs_class[0].amax(dim=-1))
    assert len(kept) > 100
    assert_close(found.pred_boxes[:, kept], expected.pred_boxes[:, kept], WITHIN)
    tokens = asked["input_ids"].shape[1]
    assert_close(found.logits[:, kept, :tokens], expected.logits[:, kept, :tokens], WITHIN)
    what = f"Grounding DINO Swin-T, {WIDTH} x {HEIGHT}"
    return [
        (f"{what}, one prompt", compare(theirs, ours, 2), 1.4),
        (f"{what}, {MANY} pictures at once", compare(lambda: theirs(MANY), lambda: ours(MANY), 1), 1.5),
        (f"{what}, a second prompt beside the first", compare(ours, again, 2), 1 / 0.87),
        (f"{what}, ten phrases beside one", compare(ours, lambda: ours(prompt=TEN), 2), 0.5),
    ]
