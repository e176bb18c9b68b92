"""The shipped detector and segmenter: their files, their figures, and what they see in the shipped scenes."""

import json
from pathlib import Path

import pytest
import torch
from trilemma.models.detection.base import Detector
from trilemma.models.detection.loading import load_detector
from trilemma.models.detection.selection import select
from trilemma.models.pictures import example_scenes
from trilemma.models.pictures.packed import paint
from trilemma.models.segmentation import decoding
from trilemma.models.segmentation.base import Segmenter
from trilemma.models.segmentation.loading import load_segmenter
from trilemma.models.segmentation.prompts import read_prompts
from trilemma.training import cards
from trilemma.training.scenes import NAMES

pytestmark = pytest.mark.slow

STARTER = Path(__file__).resolve().parents[1] / "models" / "starter"
DETECTOR, SEGMENTER = STARTER / "emoji_detector", STARTER / "emoji_segmenter"
SHOWN = [
    ("garden", "house", (104, 115)),
    ("garden", "tree", (284, 107)),
    ("garden", "cat", (111, 284)),
    ("garden", "mushroom", (280, 283)),
    ("night", "heart", (109, 107)),
    ("night", "pumpkin", (108, 271)),
    ("picnic", "strawberry", (282, 105)),
    ("picnic", "soccer ball", (276, 280)),
]


@pytest.fixture(scope="module")
def detector() -> Detector:
    return load_detector(DETECTOR)


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return load_segmenter(SEGMENTER)


def figures(folder: Path) -> dict[str, float]:
    return json.loads((folder / "figures.json").read_text(encoding="utf-8"))


def test_the_detector_says_what_it_does_not_know(detector):
    assert sorted(detector.class_names) == sorted(NAMES)
    report = select(detector.detect(torch.rand(1, 96, 128, 3), "a bicycle . a bench", 1)).report
    assert "'a bench' is none of the 60 names" in report
    assert "'a bicycle'" not in report


def test_the_figures_come_from_enough_scenes():
    assert figures(DETECTOR)["names"] == len(NAMES)
    assert figures(DETECTOR)["scenes"] >= 600
    assert figures(SEGMENTER)["scenes"] >= 300


def test_the_figures_are_as_good_as_promised():
    found, cut = figures(DETECTOR), figures(SEGMENTER)
    assert found["mAP50"] >= 0.9
    assert max(value for name, value in found.items() if name.startswith("absent name fires")) <= 0.05
    assert cut["mean IoU from exact boxes"] >= 0.87


@pytest.mark.parametrize("folder", [DETECTOR, SEGMENTER], ids=lambda folder: folder.name)
def test_the_card_states_the_measured_figures(folder, tmp_path):
    card = (folder / "README.md").read_text(encoding="utf-8")
    (tmp_path / "README.md").write_text(card, encoding="utf-8")
    cards.write_figures(tmp_path, figures(folder))
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == card
    for section in ("## Figures", "## Limits", "## Data and licence", "## Recipe"):
        assert section in card


def test_the_weights_stay_small():
    """All starters together, so that the pack is quickly fetched."""
    sizes = [path.stat().st_size for path in DETECTOR.parent.rglob("*.safetensors")]
    assert len(sizes) >= 14
    assert sum(sizes) <= 36e6


def test_transformers_reads_the_detector_completely():
    from transformers import AutoProcessor, GroundingDinoForObjectDetection

    _, info = GroundingDinoForObjectDetection.from_pretrained(DETECTOR, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert not info["mismatched_keys"]
    processor = AutoProcessor.from_pretrained(DETECTOR)
    words = processor.tokenizer(". ".join(NAMES) + ".")["input_ids"]
    assert processor.tokenizer.unk_token_id not in words


@pytest.mark.parametrize(("scene", "name", "centre"), SHOWN)
def test_a_shipped_scene_is_cut_out_by_name(detector, segmenter, scene, name, centre):
    picture = example_scenes.scene(scene)
    detections = detector.detect(picture, f"a {name}", 1)
    boxes = select(detections, top_k=1).boxes
    (box,) = boxes[0]
    assert box["x"] + box["width"] / 2 == pytest.approx(centre[0], abs=15)
    assert box["y"] + box["height"] / 2 == pytest.approx(centre[1], abs=15)
    prompts = read_prompts(1, *picture.shape[1:3], boxes)
    (found,) = decoding.segment(segmenter, segmenter.encode(picture), prompts).objects
    mask = torch.zeros(picture.shape[1:3], dtype=torch.bool)
    paint(mask, found.mask)
    ground = picture[0, :, :1]
    drawn = (picture[0] - ground).abs().amax(dim=-1) > 0.04
    x, y, width, height = (int(side) for side in found.box)
    drawn[: max(0, y - 8)] = drawn[y + height + 8 :] = False
    drawn[:, : max(0, x - 8)] = drawn[:, x + width + 8 :] = False
    assert float((mask & drawn).sum() / (mask | drawn).sum()) > 0.8
