"""Embeddings and prompts to objects, against package segment_anything's own predictor on a small network."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from trilemma.models.errors import BadInput
from trilemma.models.pictures.packed import area, unpack
from trilemma.models.segmentation import base, decoding
from trilemma.models.segmentation.loading import SEGMENTERS, load_segmenter
from trilemma.models.segmentation.prompts import Point, Prompt, read_prompts
from trilemma.models.segmentation.sam.architecture import Parts
from trilemma.models.segmentation.sam.segmenter import SamSegmenter
from trilemma.tests.closeness import assert_close, assert_same_masks
from trilemma.tests.segmentation import tiny

pytestmark = pytest.mark.slow

BOXES = [
    {"x": 5, "y": 5, "width": 35, "height": 25, "label": "cat", "score": 0.75},
    {"x": 50.5, "y": 10, "width": 30, "height": 35},
    {"x": 0, "y": 0, "width": 90, "height": 50, "label": "dog"},
]


def pixels(found, height=50, width=90):
    canvas = np.zeros((height, width), dtype=bool)
    mask = unpack(found.mask).numpy()
    canvas[found.mask.y : found.mask.y + mask.shape[0], found.mask.x : found.mask.x + mask.shape[1]] = mask
    return canvas


@pytest.fixture(scope="module", params=SEGMENTERS.families, ids=lambda family: family.name)
def each(request, images, tmp_path_factory):
    """A small segmenter of every family, and what it saw."""
    found = load_segmenter(request.param.tiny(tmp_path_factory.mktemp("each")))
    return found, found.encode(images)


@pytest.fixture(scope="module")
def predictor(network, eight_bit):
    from segment_anything import SamPredictor

    predictor = SamPredictor(network)
    predictor.set_image(eight_bit[1])
    return predictor


def test_embedding_is_the_predictors(predictor, embedding):
    assert_close(embedding.features[0][1:], predictor.features)
    assert (embedding.height, embedding.width) == (50, 90)


def test_alpha_is_ignored(each, images):
    segmenter, embedding = each
    alpha = torch.rand(*images.shape[:3], 1)
    seen = segmenter.encode(torch.cat([images, alpha], dim=-1))
    for found, expected in zip(seen.features, embedding.features, strict=True):
        assert_close(found, expected)


@pytest.mark.parametrize(
    ("box", "points"),
    [
        (BOXES[0], ()),
        (None, (Point(20, 20, 1),)),
        (None, (Point(20, 20, 1), Point(60.5, 30, 0))),
        (BOXES[1], (Point(60, 30, 1), Point(5, 5, 0))),
    ],
)
@pytest.mark.parametrize("choice", decoding.MASK_CHOICES)
def test_masks_are_the_predictors(segmenter, predictor, embedding, box, points, choice):
    corners = None if box is None else np.array([box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]])
    coords = np.array([[p.x, p.y] for p in points]) if points else None
    labels = np.array([p.label for p in points]) if points else None
    lone_point = box is None and len(points) == 1
    three = choice != "automatic" or lone_point
    masks, ious, logits = predictor.predict(coords, labels, corners, multimask_output=three)
    # 50 of 90 rows: the lower part of the square logits is padding.
    areas = (logits[:, : round(logits.shape[-1] * 50 / 90)] > 0).sum(axis=(1, 2))
    by_area = np.argsort(areas, kind="stable")
    wanted = {"smallest": by_area[0], "middle": by_area[len(by_area) // 2], "largest": by_area[-1]}.get(
        choice, ious.argmax()
    )
    (found,) = decoding.segment(segmenter, embedding, [Prompt(1, box, points)], choice).objects
    assert_same_masks(pixels(found), masks[wanted])
    score = np.clip(ious[wanted], 0, 1) if box is None else box.get("score", np.clip(ious[wanted], 0, 1))
    assert found.score == pytest.approx(score, abs=1e-5)


def test_objects_keep_what_their_boxes_say(segmenter, embedding):
    objects = decoding.segment(segmenter, embedding, read_prompts(2, 50, 90, [BOXES, BOXES[:1]]))
    assert [found.frame for found in objects.objects] == [0, 0, 0, 1]
    assert [found.label for found in objects.objects] == ["cat", "", "dog", "cat"]
    assert objects.objects[0].score == objects.objects[3].score == 0.75
    assert objects.objects[1].box == (50.5, 10, 30, 35)
    assert (objects.frames, objects.height, objects.width) == (2, 50, 90)
    assert all(area(found.mask) for found in objects.objects)


def test_an_object_from_points_has_its_masks_bounds(segmenter, embedding):
    (found,) = decoding.segment(segmenter, embedding, [Prompt(0, None, (Point(20, 20, 1),))]).objects
    rows, columns = np.nonzero(pixels(found))
    assert found.box == (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
    assert found.label == ""


@pytest.mark.parametrize("chunk_size", [1, 2, 5])
def test_the_chunk_size_changes_nothing(each, chunk_size):
    segmenter, embedding = each
    # 7 boxes, of which two have a point: three runs of alike prompts in the first image.
    prompts = [Prompt(0, box, ()) for box in BOXES] + [Prompt(0, box, (Point(60, 20, 1),)) for box in BOXES[1:]]
    prompts += [Prompt(0, BOXES[0], ()), Prompt(1, BOXES[1], ())]
    steps = []
    whole = decoding.segment(segmenter, embedding, prompts)
    parts = decoding.segment(segmenter, embedding, prompts, chunk_size=chunk_size, on_step=steps.append)
    for expected, found in zip(whole.objects, parts.objects, strict=True):
        assert found[:3] == expected[:3]
        assert found.score == pytest.approx(expected.score, abs=1e-5)
        assert_same_masks(pixels(found), pixels(expected))
    assert steps[-1] == len(prompts)
    assert max(np.diff([0, *steps])) <= chunk_size


def test_no_boxes_give_no_objects(each):
    segmenter, embedding = each
    objects = decoding.segment(segmenter, embedding, read_prompts(2, 50, 90, [[], []]))
    assert objects == ((), 2, 50, 90)


def test_where_the_network_sees_nothing_the_mask_is_empty(images, tmp_path):
    blind = tiny.build()
    # The upscaled embedding is about 5 everywhere, and the mask token weighs it by -1.
    blind.mask_decoder.output_upscaling[3].weight.zero_()
    blind.mask_decoder.output_upscaling[3].bias.fill_(5)
    for layer in blind.mask_decoder.output_hypernetworks_mlps:
        layer.layers[2].weight.zero_()
        layer.layers[2].bias.fill_(-1)
    segmenter = load_segmenter(tiny.save(blind, tmp_path))
    embedding = segmenter.encode(images)
    prompts = [Prompt(0, BOXES[0], ()), Prompt(1, None, (Point(20, 20, 1),))]
    objects = decoding.segment(segmenter, embedding, prompts)
    assert [area(found.mask) for found in objects.objects] == [0, 0]
    assert [found.box for found in objects.objects] == [(5, 5, 35, 25), (0, 0, 0, 0)]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 300), (300, 1), (33, 64)])
def test_odd_sizes(each, height, width):
    segmenter, _ = each
    embedding = segmenter.encode(torch.rand(1, height, width, 3))
    prompts = read_prompts(1, height, width, {"x": 0, "y": 0, "width": width, "height": height})
    (found,) = decoding.segment(segmenter, embedding, prompts).objects
    assert pixels(found, height, width).shape == (height, width)


def test_nan_image(each):
    segmenter, _ = each
    images = torch.rand(2, 8, 8, 3)
    images[1, 3, 3, 0] = torch.nan
    with pytest.raises(BadInput, match="image 1 of the batch holds NaN"):
        segmenter.encode(images)


def test_an_embedding_of_another_network(embedding, tmp_path):
    other = load_segmenter(tiny.save(tiny.build(seed=1), tmp_path))
    with pytest.raises(BadInput, match="embedding: it was made by another segmenter"):
        decoding.segment(other, embedding, [])


def test_logits_are_what_the_masks_were_cut_from(each):
    segmenter, embedding = each
    prompts = read_prompts(2, 50, 90, [BOXES, BOXES[:1]])
    objects, logits = decoding.refine(segmenter, embedding, prompts, None)
    assert (logits.frames, logits.height, logits.width) == ((0, 0, 0, 1), 50, 90)
    assert logits.values.abs().max() <= segmenter.logits_within
    for found, values in zip(objects.objects, logits.values, strict=True):
        assert_same_masks(pixels(found), segmenter.upscale(values, 50, 90) > 0)


@pytest.mark.parametrize("chunk_size", [1, 5])
def test_a_second_step_corrects_the_first(each, chunk_size):
    """Each prompt has its own mask beside it, whatever the chunks; and it does change the answer."""
    segmenter, embedding = each
    first = [Prompt(0, BOXES[0], ()), Prompt(0, BOXES[1], ()), Prompt(1, BOXES[2], ())]
    _, logits = decoding.refine(segmenter, embedding, first, None)
    second = [prompt._replace(points=(Point(60, 20, 1),)) for prompt in first]
    found, _ = decoding.refine(segmenter, embedding, second, logits, chunk_size=chunk_size)
    plain, _ = decoding.refine(segmenter, embedding, second, None)
    assert any((pixels(a) != pixels(b)).any() for a, b in zip(found.objects, plain.objects, strict=True))
    for prompt, earlier, given in zip(second, logits.values, found.objects, strict=True):
        answer, _ = segmenter.decode(embedding, prompt.frame, [prompt], three=False, previous=earlier[None, None])
        assert_same_masks(pixels(given), segmenter.upscale(answer[0, 0], 50, 90) > 0)


def test_a_second_step_is_the_predictors(segmenter, predictor, embedding):
    """A lone point beside a mask asks for one answer."""
    _, _, lowest = predictor.predict(np.array([[20, 20]]), np.array([1]), multimask_output=False)
    masks, _, _ = predictor.predict(np.array([[60.5, 30]]), np.array([1]), mask_input=lowest, multimask_output=False)
    previous = base.MaskLogits(torch.from_numpy(lowest), (1,), 50, 90, segmenter.identity)
    found, _ = decoding.refine(segmenter, embedding, [Prompt(1, None, (Point(60.5, 30, 1),))], previous)
    assert_same_masks(pixels(found.objects[0]), masks[0])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"identity": "other"}, "logits: another segmenter gave them"),
        ({"height": 51}, r"they are of images of 90 x 51 pixels, and these have 90 x 50"),
        ({"frames": (0, 1)}, r"they are of 2 objects, and 1 are asked for"),
        ({"frames": (1,)}, r"or in other images"),
    ],
)
def test_logits_of_something_else(segmenter, embedding, change, said):
    prompts = [Prompt(0, BOXES[0], ())]
    _, logits = decoding.refine(segmenter, embedding, prompts, None)
    with pytest.raises(BadInput, match=said):
        decoding.refine(segmenter, embedding, prompts, logits._replace(**change))


def test_no_prompts_have_no_logits(segmenter, embedding):
    found, logits = decoding.refine(segmenter, embedding, [], None)
    assert len(found.objects) == len(logits.values) == len(logits.frames) == 0
    assert len(decoding.refine(segmenter, embedding, [], logits)[0].objects) == 0


@pytest.mark.parametrize(("patch", "grid"), [(16, 4), (8, 8), (6, 35)], ids=["4 times", "twice", "one and a half"])
@pytest.mark.parametrize("size", [(50, 90), (90, 47), (70, 70)])
def test_upscaling_leaves_padding_out(segmenter, patch, grid, size):
    """The authors' way goes by the whole square, padding and all."""
    side = patch * grid
    config = replace(segmenter.config, image_size=side, patch_size=patch)
    found = SamSegmenter(Parts(*segmenter.modules), config, "other")
    logits = torch.randn(4 * grid, 4 * grid, generator=torch.Generator().manual_seed(0))
    rows, columns = found.input_size(*size)
    square = F.interpolate(logits[None, None], (side, side), mode="bilinear")
    expected = F.interpolate(square[..., :rows, :columns], size, mode="bilinear")
    assert_close(found.upscale(logits, *size), expected[0, 0])
