"""Segment Everything with chunks that fit the caches, against chunks that fill the memory set aside for them."""

from __future__ import annotations

import torch
from trilemma.models.files import catalog
from trilemma.models.pictures import example_scenes
from trilemma.models.segmentation.base import Embedding, Segmenter
from trilemma.models.segmentation.decoding import CHUNK_BYTES
from trilemma.models.segmentation.everything import segment_everything
from trilemma.models.segmentation.loading import load_segmenter
from trilemma.models.values import Objects
from trilemma.tests.benchmarks.timing import Comparison, compare
from trilemma.tests.closeness import assert_same_masks
from trilemma.tests.segmentation.test_segment import pixels

STARTER = "starter emoji segmenter"
SCENE = "garden"
AT_LEAST = 1.3


def compare_chunks(segmenter: Segmenter, embedding: Embedding, repeats: int = 5) -> Comparison:
    """The default chunks beside the largest; both find the same objects."""
    largest = CHUNK_BYTES // segmenter.prompt_bytes()

    def in_largest() -> Objects:
        return segment_everything(segmenter, embedding, chunk_size=largest)

    def in_default() -> Objects:
        return segment_everything(segmenter, embedding)

    size = embedding.height, embedding.width
    with torch.inference_mode():
        for expected, found in zip(in_largest().objects, in_default().objects, strict=True):
            assert_same_masks(pixels(found, *size), pixels(expected, *size))
        return compare(in_largest, in_default, repeats)


def rows() -> list[tuple[str, Comparison, float]]:
    """What is compared, the times, and the least ratio that is promised."""
    segmenter = load_segmenter(catalog.starter_folder("segmenter", STARTER))
    with torch.inference_mode():
        embedding = segmenter.encode(example_scenes.scene(SCENE))
    return [(f"Segment Everything, {STARTER}, 256 points", compare_chunks(segmenter, embedding), AT_LEAST)]
