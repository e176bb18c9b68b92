"""Segment Everything by the starter segmenter, against package segment_anything's generator with the same weights."""

from __future__ import annotations

from typing import cast

import torch
from trilemma.models.files import catalog
from trilemma.models.pictures import example_scenes
from trilemma.models.segmentation.loading import load_segmenter
from trilemma.models.segmentation.sam.segmenter import SamSegmenter
from trilemma.tests.benchmarks.published_segmenters import compare_everything, paired
from trilemma.tests.benchmarks.timing import Comparison

STARTER = "starter emoji segmenter"
SCENE = "garden"
POINTS_PER_SIDE = 32
THRESHOLDS = (0.6, 0.6, 0.7)
"""The node's defaults."""
AT_LEAST = 2.0


@torch.inference_mode()
def rows() -> list[tuple[str, Comparison, float]]:
    """What is compared, the times, and the least ratio that is promised."""
    segmenter = cast("SamSegmenter", load_segmenter(catalog.starter_folder("segmenter", STARTER)))
    picture = example_scenes.scene(SCENE)
    times = compare_everything(paired(segmenter), picture, POINTS_PER_SIDE, THRESHOLDS, 2)
    return [(f"Segment Everything, {STARTER}, {POINTS_PER_SIDE**2:,} points", times, AT_LEAST)]
