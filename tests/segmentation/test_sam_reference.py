"""The segmenter against the reference implementation: full-size ViT-B under the kit's weights, read from a file in
the published layout."""

import numpy as np
import pytest
import torch
from trilemma.models import weights
from trilemma.models.segmentation.prompts import Point, Prompt
from trilemma.models.segmentation.sam.architecture import build, read_config
from trilemma.tests import reference_kit
from trilemma.tests.segmentation import kit
from trilemma.tests.segmentation.kit import AREA_TOLERANCE, HEIGHT, WIDTH

pytestmark = pytest.mark.slow  # a ViT-B at 1024 pixels


@pytest.fixture(scope="module")
def case():
    return reference_kit.case("sam")


@pytest.fixture(scope="module")
def segmenter(case, tmp_path_factory):
    return kit.load(case, tmp_path_factory.mktemp("sam") / "sam_vit_b_01ec64.pth")


@pytest.fixture(scope="module")
def images():
    return kit.picture()


@pytest.fixture(scope="module")
def embedding(segmenter, images):
    return segmenter.encode(images)


@pytest.fixture(scope="module")
def given(case):
    """Box and point prompts of the golden."""
    inputs = reference_kit.inputs(case)
    points = tuple(
        Point(float(x), float(y), int(label))
        for (x, y), label in zip(inputs["points_xy"], inputs["point_labels"], strict=True)
    )
    boxes = [kit.as_box(corners) for corners in inputs["batch_boxes_xyxy"]]
    return {"box": kit.as_box(inputs["box_xyxy"]), "points": points, "boxes": boxes}


def test_preprocessing(case, segmenter, images):
    pixels = segmenter.preprocess(images)
    reference_kit.compare(case, {"input_image_after_preprocess": pixels}, atol=1e-6, rtol=1e-6)


def test_embedding(case, segmenter, embedding):
    dense = segmenter.prompt_encoder.get_dense_pe()
    reference_kit.compare(case, {"embedding": embedding.features[0], "dense_pe": dense})


@pytest.mark.parametrize(
    ("name", "with_box", "points", "three"),
    [
        ("box", True, slice(0), False),
        ("box_multi", True, slice(0), True),
        ("point1", False, slice(1), True),
        ("points", False, slice(2), False),
        ("box_points", True, slice(2), True),
    ],
)
def test_prompts(case, segmenter, embedding, given, name, with_box, points, three):
    prompt = Prompt(0, given["box"] if with_box else None, given["points"][points])
    logits, ious = segmenter.decode(embedding, 0, [prompt], three)
    full = torch.stack([segmenter.upscale(mask, HEIGHT, WIDTH) for mask in logits[0]])
    answers = {f"{name}.lowres_logits": logits[0], f"{name}.iou": ious[0], f"{name}.fullres_logits": full}
    reference_kit.compare(case, answers)
    with np.load(reference_kit.KIT / case["golden_dev"]) as golden:
        areas = (full > 0).sum(dim=(1, 2)).numpy()
        np.testing.assert_allclose(areas, golden[f"out.{name}.mask_area.sub"], atol=AREA_TOLERANCE)


def test_a_box_with_the_mask_of_an_earlier_answer(case, segmenter, embedding, given):
    box = [Prompt(0, given["box"], ())]
    earlier, _ = segmenter.decode(embedding, 0, box, three=False)
    logits, ious = segmenter.decode(embedding, 0, box, three=False, previous=earlier)
    answers = {"box_with_mask_input.lowres_logits": logits[0], "box_with_mask_input.iou": ious[0]}
    reference_kit.compare(case, answers)


def test_boxes_of_an_image_in_one_batch(case, segmenter, embedding, given):
    prompts = [Prompt(0, box, ()) for box in given["boxes"]]
    logits, ious = segmenter.decode(embedding, 0, prompts, three=False)
    reference_kit.compare(case, {"batch_boxes.lowres_logits": logits, "batch_boxes.iou": ious})


@pytest.mark.parametrize(
    ("file", "heads", "global_blocks"),
    [
        ("manifest.json", 12, (2, 5, 8, 11)),
        ("manifest_vit_l.json", 16, (5, 11, 17, 23)),
        ("manifest_vit_h.json", 16, (7, 15, 23, 31)),
    ],
)
def test_every_key_of_the_published_files_is_accounted_for(file, heads, global_blocks):
    published = {entry.name: torch.empty(entry.shape, device="meta") for entry in reference_kit.manifest("sam", file)}
    config = read_config(published, {})
    assert (config.image_size, config.window_size, config.num_heads) == (1024, 14, heads)
    assert config.global_blocks == global_blocks
    weights.check_fit({name: value.shape for name, value in build(config).state_dict().items()}, published, file)
