"""SAM ViT-B and MobileSAM at their published sizes beside package segment_anything, under the kit's weights."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import torch
from trilemma.models.pictures.packed import paint
from trilemma.models.segmentation.decoding import segment
from trilemma.models.segmentation.everything import segment_everything
from trilemma.models.segmentation.prompts import Prompt
from trilemma.models.segmentation.sam.segmenter import SamSegmenter
from trilemma.models.values import Objects
from trilemma.tests import reference_kit
from trilemma.tests.benchmarks.timing import Comparison, Peaks, compare, compare_peaks, compare_results
from trilemma.tests.closeness import assert_close
from trilemma.tests.segmentation import kit
from trilemma.tests.segmentation.package import package_sam

if TYPE_CHECKING:
    from segment_anything import SamPredictor

BOXES = 32
SAME = 0.999
"""IoU of masks that are the same."""
ALIKE = 0.99
"""Share of objects that the other side has too: a few pass a threshold by less than rounding."""
ENCODER_AT_LEAST, MEMORY_AT_LEAST, LIGHT_AT_LEAST = 1.25, 1 / 0.6, 10.0
BOXES_AT_LEAST = 3.0

Rows = list[tuple[str, Comparison, float]]


class Pair(NamedTuple):
    """One network, as the pack and as the package run it."""

    ours: SamSegmenter
    theirs: SamPredictor


def segmenter(system: str) -> SamSegmenter:
    """Of a file in the published layout."""
    with tempfile.TemporaryDirectory() as folder:
        return cast("SamSegmenter", kit.load(reference_kit.case(system), Path(folder) / "model.pth"))


def paired(ours: SamSegmenter) -> Pair:
    """With the package's network of the same weights."""
    from segment_anything import SamPredictor

    return Pair(ours, SamPredictor(package_sam(ours)))


def eight_bit(picture: torch.Tensor) -> np.ndarray:
    """A picture [H, W, 3] as the package takes it."""
    return (picture * 255).round().byte().numpy()


def prompts_of(corners: np.ndarray, frame: int = 0) -> list[Prompt]:
    """One for each box [N, 4]."""
    return [Prompt(frame, kit.as_box(each), ()) for each in corners]


def random_boxes(count: int, seed: int = 0) -> np.ndarray:
    """Corners within the kit's picture, [count, 4]: x, y, x, y in pixels."""
    rng = np.random.default_rng(seed)
    start = rng.integers(0, (kit.WIDTH - 160, kit.HEIGHT - 120), (count, 2))
    return np.concatenate([start, start + rng.integers(40, (160, 120), (count, 2))], axis=1)


def masks_of(objects: Objects) -> np.ndarray:
    """[N, H, W], bool."""
    canvas = torch.zeros(len(objects.objects), objects.height, objects.width, dtype=torch.bool)
    for place, found in zip(canvas, objects.objects, strict=True):
        paint(place, found.mask)
    return canvas.numpy()


def overlap(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """IoU of each of N masks with each of M, [N, M]; that of two empty ones is 1."""
    some, others = (masks.reshape(len(masks), -1).astype(np.float32) for masks in (some, others))
    both = some @ others.T
    either = some.sum(axis=1)[:, None] + others.sum(axis=1) - both
    return np.where(either > 0, both / np.maximum(either, 1), 1.0)


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    """Each mask is that which was expected in its place."""
    overlaps = np.diag(overlap(found, expected))
    assert overlaps.min() >= SAME, f"IoU {overlaps.min():.5f}, and {SAME} is promised"


def compare_encoders(networks: Pair) -> tuple[Comparison, Peaks]:
    """Of one picture at 1024 pixels; the same maps."""
    pixels = networks.ours.preprocess(kit.picture())
    theirs, ours = networks.theirs.model.image_encoder, networks.ours.image_encoder
    assert_close(ours(pixels), theirs(pixels), 1e-4)
    times = compare(lambda: theirs(pixels), lambda: ours(pixels), 2)
    return times, compare_peaks(lambda: theirs(pixels), lambda: ours(pixels))


def compare_light(networks: Pair) -> Comparison:
    """The encoder of MobileSAM beside ours of SAM ViT-B."""
    light = segmenter("mobile_sam").image_encoder
    pixels = networks.ours.preprocess(kit.picture())
    light(pixels)
    return compare(lambda: networks.ours.image_encoder(pixels), lambda: light(pixels), 3)


def compare_boxes(networks: Pair, count: int = BOXES) -> Comparison:
    """So many boxes of one picture beside so many predictions, once both have seen it; the same masks."""
    picture = kit.picture()
    networks.theirs.set_image(eight_bit(picture[0]))
    embedding = networks.ours.encode(picture)
    corners = random_boxes(count)

    def theirs() -> np.ndarray:
        return np.concatenate([networks.theirs.predict(box=box, multimask_output=False)[0] for box in corners])

    def ours() -> Objects:
        return segment(networks.ours, embedding, prompts_of(corners))

    assert_same(masks_of(ours()), theirs())
    return compare(theirs, ours, 3)


def compare_everything(
    networks: Pair,
    picture: torch.Tensor,
    points_per_side: int,
    thresholds: tuple[float, float, float],
    repeats: int = 1,
) -> Comparison:
    """All objects of a picture [1, H, W, 3], its embedding with it; both find the same.

    thresholds: of the predicted IoU, of stability, and of the overlap of bounds.
    """
    from segment_anything import SamAutomaticMaskGenerator

    predicted_iou, stability, nms = thresholds
    generator = SamAutomaticMaskGenerator(
        networks.theirs.model,
        points_per_side=points_per_side,
        pred_iou_thresh=predicted_iou,
        stability_score_thresh=stability,
        box_nms_thresh=nms,
    )

    def theirs() -> list[dict[str, Any]]:
        return generator.generate(eight_bit(picture[0]))

    def ours() -> Objects:
        return segment_everything(networks.ours, networks.ours.encode(picture), points_per_side, *thresholds)

    times, expected, found = compare_results(theirs, ours, repeats)
    assert expected
    overlaps = overlap(masks_of(found), np.stack([record["segmentation"] for record in expected]))
    for axis in (0, 1):
        assert (overlaps.max(axis=axis) >= SAME).mean() >= ALIKE
    return times


@torch.inference_mode()
def rows() -> tuple[Rows, list[tuple[str, Peaks, float]]]:
    """What is compared, the times, and the least ratio that is promised; and the same of peak memory."""
    networks = paired(segmenter("sam"))
    what = "SAM ViT-B's encoder, 1024 px"
    times, peaks = compare_encoders(networks)
    compared = [
        (what, times, ENCODER_AT_LEAST),
        ("MobileSAM's encoder, beside SAM ViT-B's", compare_light(networks), LIGHT_AT_LEAST),
        (f"SAM ViT-B, {BOXES} boxes of one picture", compare_boxes(networks), BOXES_AT_LEAST),
    ]
    return compared, [(what, peaks, MEMORY_AT_LEAST)]
