"""Detection as a whole on tiny random networks: batches, sizes, bad input, memory."""

import json

import pytest
import torch
from trilemma.models.detection import grounding_dino, mm_grounding_dino
from trilemma.models.detection.base import Detector
from trilemma.models.detection.caption_folders import PREPROCESSOR, TINY, random_network, save
from trilemma.models.detection.loading import load_detector
from trilemma.models.detection.preprocessing import count_cells, sizes
from trilemma.models.detection.selection import select
from trilemma.models.errors import BadInput
from trilemma.models.files import catalog
from trilemma.tests.closeness import assert_close
from trilemma.tests.peak_memory import peak_bytes

pytestmark = pytest.mark.slow

PROMPT = "a cat . a red car, dog"
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


@pytest.fixture(
    scope="module", params=[grounding_dino.FOLDER, mm_grounding_dino.FOLDER], ids=lambda family: family.name
)
def detector(request, tmp_path_factory) -> Detector:
    return load_detector(request.param.tiny(tmp_path_factory.mktemp("detector")))


def run(detector, images, prompt=PROMPT, batch_size=4, **options):
    return detector.detect(images, prompt, batch_size, **options)


def images(count: int, height: int, width: int, channels: int = 3) -> torch.Tensor:
    return torch.rand(count, height, width, channels, generator=torch.Generator().manual_seed(height + width))


def test_shapes_and_ranges(detector):
    found = run(detector, images(3, 90, 120))
    queries, tokens = TINY["num_queries"], 2 + 3 * 1 + 6
    assert found.boxes.shape == (3, queries, 4) and found.boxes.dtype == torch.float32
    assert found.token_probs.shape == (3, queries, tokens) and found.token_probs.dtype == torch.float32
    assert len(found.tokens) == tokens and found.phrase_tokens.shape == (3, tokens)
    assert found.phrases == ("a cat", "a red car", "dog")
    assert (found.height, found.width) == (90, 120)
    assert bool(((found.token_probs >= 0) & (found.token_probs <= 1)).all())
    assert bool(((found.boxes >= 0) & (found.boxes <= 1)).all())


def test_answers_are_the_networks_own(detector):
    batch = images(1, 128, 160)
    found = run(detector, batch, "cat")
    with torch.no_grad():
        expected = detector.network(
            pixel_values=((batch - MEAN) / STD).permute(0, 3, 1, 2), input_ids=torch.tensor([[101, 4937, 1012, 102]])
        )
    assert_close(found.boxes, expected.pred_boxes)
    assert_close(found.token_probs, expected.logits[..., :4].sigmoid())


def test_same_input_same_answer(detector):
    batch = images(2, 64, 64)
    for first, again in zip(run(detector, batch)[:3], run(detector, batch)[:3], strict=True):
        assert_close(first, again)


def test_alpha_is_ignored(detector):
    batch = images(1, 64, 80, 4)
    assert_close(run(detector, batch).boxes, run(detector, batch[..., :3]).boxes)


def test_half_precision_images(detector):
    batch = images(1, 64, 80).half()
    assert_close(run(detector, batch).boxes, run(detector, batch.float()).boxes)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 500), (500, 1), (33, 257), (700, 900)])
def test_any_size_gives_boxes_inside_the_image(detector, height, width):
    found = run(detector, images(1, height, width))
    for box in select(found, box_threshold=0, text_threshold=0, nms_threshold=1).boxes[0]:
        assert 0 <= box["x"] < width and 0 <= box["y"] < height
        assert 0 < box["width"] <= width and 0 < box["height"] <= height


def test_bad_images_are_refused(detector):
    broken = images(2, 32, 32)
    broken[1, 3, 3] = float("nan")
    with pytest.raises(BadInput, match="image 1 of the batch holds NaN"):
        run(detector, broken)
    with pytest.raises(BadInput, match="is empty"):
        run(detector, torch.zeros(0, 32, 32, 3))
    with pytest.raises(BadInput, match="expected images of shape"):
        run(detector, torch.zeros(32, 32, 3))


def test_empty_prompt_is_refused(detector):
    with pytest.raises(BadInput, match="names nothing"):
        run(detector, images(1, 32, 32), " . ")


def test_prompt_longer_than_the_network_reads_is_asked_in_passes(detector):
    phrases = [f"thing {n}" for n in range(150)]
    batch = images(3, 60, 80)
    found = run(detector, batch, ", ".join(phrases), batch_size=2)
    parts = [phrases[:84], phrases[84:]]
    alone = [run(detector, batch, ", ".join(part), batch_size=2) for part in parts]
    assert [len(part.tokens) for part in alone] == [254, 200]
    assert found.passes == 2 and found.phrases == tuple(phrases)
    assert_close(found.boxes, torch.cat([part.boxes for part in alone], dim=1))
    queries, tokens = TINY["num_queries"], len(alone[0].tokens)
    assert_close(found.token_probs[:, :queries, :tokens], alone[0].token_probs)
    assert_close(found.token_probs[:, queries:, tokens:], alone[1].token_probs)
    assert not found.token_probs[:, :queries, tokens:].any() and not found.token_probs[:, queries:, :tokens].any()
    assert torch.equal(found.phrase_tokens, torch.block_diag(*(part.phrase_tokens for part in alone)).bool())


def test_limits_and_thresholds_of_phrases_travel_along(detector):
    batch = images(1, 60, 80)
    found, plain = run(detector, batch, "a cat:2@0.4, a dog, a car@0"), run(detector, batch, "a cat, a dog, a car")
    assert found.phrases == plain.phrases and found.tokens == plain.tokens
    assert found.limits == (2, 0, 0) and found.thresholds == (0.4, None, 0)
    assert_close(found.token_probs, plain.token_probs)


@pytest.mark.parametrize("family", [grounding_dino.FOLDER, mm_grounding_dino.FOLDER], ids=lambda family: family.name)
def test_pictures_of_fewer_cells_than_queries_are_scaled_up(family, tmp_path):
    """As many as published networks have: transformers itself fails, and answers so for the picture scaled up."""
    kind = {grounding_dino.FOLDER: grounding_dino.KIND, mm_grounding_dino.FOLDER: mm_grounding_dino.KIND}[family]
    network = random_network(kind, num_queries=900)
    folder = save(network, tmp_path)
    (folder / PREPROCESSOR).write_text(json.dumps({"size": {"shortest_edge": 128, "longest_edge": 192}}))
    detector, batch = load_detector(folder), images(1, 128, 160)
    ids = torch.tensor([[101, 4937, 1012, 102]])

    def seen(pixels):
        with torch.no_grad():
            return network(pixel_values=((pixels - MEAN) / STD).permute(0, 3, 1, 2), input_ids=ids)

    with pytest.raises(RuntimeError, match="out of range"):
        seen(batch)
    found = run(detector, batch, "cat")
    placed = sizes(detector.input_size, 128, 160, 900)
    assert (placed.height, placed.width) == (186, 232)
    assert count_cells(186, 232, (8, 16, 32, 64)) >= 900 > count_cells(128, 160, (8, 16, 32, 64))
    scaled = torch.nn.functional.interpolate(
        batch.permute(0, 3, 1, 2), size=(186, 232), mode="bilinear", antialias=True
    ).permute(0, 2, 3, 1)
    expected = seen(scaled)
    assert_close(found.boxes, expected.pred_boxes)
    assert_close(found.token_probs, expected.logits[..., :4].sigmoid())
    for height, width in ((1, 1), (1, 500), (400, 2)):
        assert run(detector, images(1, height, width), "cat").boxes.shape == (1, 900, 4)
    peak = peak_bytes(lambda: run(detector, batch, "cat"))
    assert 0.7 < detector.memory_bytes(1, 128, 160) / peak < 1.5


@pytest.mark.parametrize(("count", "height", "width"), [(1, 64, 64), (1, 128, 192), (6, 100, 100)])
def test_memory_estimate_of_a_network_of_any_aspect(detector, count, height, width):
    batch = images(count, height, width)
    peak = peak_bytes(lambda: run(detector, batch, batch_size=count))
    assert 0.7 < detector.memory_bytes(count, height, width) / peak < 1.5


@pytest.mark.parametrize(("count", "height", "width"), [(1, 128, 128), (4, 300, 200), (16, 64, 64)])
def test_memory_estimate_of_the_starter(count, height, width):
    starter = load_detector(catalog.starter_folder("detector", catalog.starter_names("detector")[0]))
    batch = images(count, height, width)
    peak = peak_bytes(lambda: run(starter, batch, "cat, dog, rocket", batch_size=count))
    assert 0.7 < starter.memory_bytes(count, height, width) / peak < 1.5
