"""Grid prompts, against package segment_anything's own automatic mask generator on small networks."""

import numpy as np
import pytest
from trilemma.models.errors import BadInput
from trilemma.models.pictures.packed import area
from trilemma.models.segmentation.everything import segment_everything
from trilemma.models.segmentation.loading import load_segmenter
from trilemma.tests.segmentation import tiny
from trilemma.tests.segmentation.test_segment import pixels

pytestmark = pytest.mark.slow

POINTS_PER_SIDE = 6


@pytest.mark.parametrize(
    ("seed", "iou", "stability", "nms", "count"),
    [(1, -5, 0, 1, 108), (1, 0.2, 0, 1, 3), (5, -5, 0.3, 1, 36), (1, -5, 0, 0.7, 9), (5, 2.5, 0.3, 1, 19)],
)
def test_same_masks_as_the_generator(seed, iou, stability, nms, count, images, eight_bit, tmp_path):
    from segment_anything import SamAutomaticMaskGenerator

    network = tiny.build(seed)
    generator = SamAutomaticMaskGenerator(
        network,
        points_per_side=POINTS_PER_SIDE,
        pred_iou_thresh=iou,
        stability_score_thresh=stability,
        box_nms_thresh=nms,
    )
    expected = sorted(generator.generate(eight_bit[0]), key=lambda record: -record["predicted_iou"])
    segmenter = load_segmenter(tiny.save(network, tmp_path))
    embedding = segmenter.encode(images[:1])
    found = segment_everything(segmenter, embedding, POINTS_PER_SIDE, iou, stability, nms).objects
    assert len(found) == len(expected) == count
    differing = 0
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.score == pytest.approx(np.clip(theirs["predicted_iou"], 0, 1), abs=1e-4)
        differing += (pixels(mine) != theirs["segmentation"]).sum()
    # Of half a million logits of size 1, one within rounding of the threshold is to be expected.
    assert differing <= 2


def test_frames_and_progress(segmenter, embedding):
    steps = []
    objects = segment_everything(segmenter, embedding, 4, -5, 0, 1, on_step=steps.append, chunk_size=7)
    assert steps == [7, 14, 16, 23, 30, 32]
    assert [found.frame for found in objects.objects] == [0] * 48 + [1] * 48
    assert (objects.frames, objects.height, objects.width) == (2, 50, 90)


@pytest.mark.parametrize("chunk_size", [1, 5])
def test_the_chunk_size_changes_nothing(segmenter, embedding, chunk_size):
    whole = segment_everything(segmenter, embedding, 4, 0.2, 0, 0.95)
    parts = segment_everything(segmenter, embedding, 4, 0.2, 0, 0.95, chunk_size=chunk_size)
    assert len(whole.objects) > 2
    assert [found[:3] for found in parts.objects] == [found[:3] for found in whole.objects]
    assert [area(found.mask) for found in parts.objects] == [area(found.mask) for found in whole.objects]


def test_nothing_good_enough_gives_no_objects(segmenter, embedding):
    assert segment_everything(segmenter, embedding, 4, predicted_iou_threshold=100) == ((), 2, 50, 90)


def test_an_embedding_of_another_network(embedding, tmp_path):
    other = load_segmenter(tiny.save(tiny.build(seed=1), tmp_path))
    with pytest.raises(BadInput, match="embedding: it was made by another segmenter"):
        segment_everything(other, embedding)
