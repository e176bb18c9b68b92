"""Grounding DINO beside transformers' processor, network and post-processing, in the published size."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from trilemma.models.detection.caption_detector import CaptionDetector
from trilemma.models.detection.caption_folders import save
from trilemma.models.detection.kept_features import KeptFeatures
from trilemma.models.detection.loading import load_detector
from trilemma.models.detection.mixed_precision import mixed
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


class Published(NamedTuple):
    """Grounding DINO Swin-T as transformers and as the pack run it."""

    network: Any
    processor: Any
    detector: CaptionDetector


def published() -> Published:
    """How long it takes does not depend on its weights, which are random."""
    from transformers import (
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        GroundingDinoProcessor,
    )

    torch.manual_seed(0)
    # transformers' defaults are the published Swin-T.
    network = GroundingDinoForObjectDetection(GroundingDinoConfig()).train(False)
    processor = GroundingDinoProcessor(GroundingDinoImageProcessor(size=SIZE), berts.tokenizer())
    with tempfile.TemporaryDirectory() as folder:
        detector = load_detector(save(network, Path(folder)))
    return Published(network, processor, cast("CaptionDetector", detector))


def theirs_of(given: Published, picture: np.ndarray, prompt: str) -> torch.Tensor:
    """Boxes of one picture, uint8 [H, W, 3], by transformers' processor, network and post-processing."""
    asked = given.processor(images=picture, text=prompt, return_tensors="pt", input_data_format="channels_last")
    answer = given.network(**asked)
    given.processor.post_process_grounded_object_detection(
        answer, asked["input_ids"], threshold=0.3, text_threshold=0.25, target_sizes=[picture.shape[:2]]
    )
    return answer.pred_boxes


def ours_of(given: Published, pictures: np.ndarray, prompt: str) -> torch.Tensor:
    """Boxes of pictures, uint8 [B, H, W, 3], together."""
    found = given.detector.detect(torch.from_numpy(pictures).float() / 255, prompt, len(pictures))
    select(found, box_threshold=0.3, text_threshold=0.25, nms_threshold=0.5)
    return found.boxes


def backbone_of(given: Published) -> KeptFeatures:
    """What keeps what it saw of pictures."""
    (backbone,) = [module for module in given.detector.network.modules() if isinstance(module, KeptFeatures)]
    return backbone


@torch.no_grad()
def rows() -> list[tuple[str, Comparison, float]]:
    """What is compared, the times, and the least ratio that is promised."""
    given = published()
    network, processor, detector = given
    backbone, in_bfloat16 = backbone_of(given), given._replace(detector=mixed(detector))
    pictures = np.random.default_rng(0).integers(0, 256, (MANY, HEIGHT, WIDTH, 3), dtype=np.uint8)

    def theirs(count: int = 1) -> None:
        for picture in pictures[:count]:
            theirs_of(given, picture, PROMPT)

    def again(count: int = 1, prompt: str = PROMPT) -> torch.Tensor:
        return ours_of(given, pictures[:count], prompt)

    def ours(count: int = 1, prompt: str = PROMPT) -> torch.Tensor:
        backbone.forget()
        return again(count, prompt)

    def ours_mixed() -> torch.Tensor:
        backbone.forget()
        return ours_of(in_bfloat16, pictures[:1], PROMPT)

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
        (f"{what}, one prompt, in mixed bfloat16", compare(theirs, ours_mixed, 1), 2.0),
        (f"{what}, {MANY} pictures at once", compare(lambda: theirs(MANY), lambda: ours(MANY), 1), 1.5),
        (f"{what}, a second prompt beside the first", compare(ours, again, 2), 1 / 0.87),
        (f"{what}, ten phrases beside one", compare(ours, lambda: ours(prompt=TEN), 2), 0.5),
    ]
