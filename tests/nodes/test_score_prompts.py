"""Score Prompt and Prompt Set: the starters judge a scene whose content is known, a right and a wrong of each kind."""

import json
from types import SimpleNamespace

import pytest
import torch
from trilemma import NODE_CLASS_MAPPINGS, host
from trilemma.host import standalone
from trilemma.models.errors import BadInput, MissingFile
from trilemma.models.scoring.verification import colours, records
from trilemma.nodes.detect import LoadDetector
from trilemma.nodes.files import ExampleScene
from trilemma.nodes.segment import LoadSegmenter
from trilemma.tests.nodes.test_score_images import named

pytestmark = pytest.mark.slow

Prompt, Set = NODE_CLASS_MAPPINGS["TrilemmaScorePrompt"], NODE_CLASS_MAPPINGS["TrilemmaPromptSet"]
NAMES = "cat, house, tree, mushroom"
STARTERS = {"threshold": 0.35, "counting_threshold": 0.35, "also_ask": NAMES}


@pytest.fixture(scope="module")
def detector():
    return LoadDetector().run("starter emoji detector")[0]


@pytest.fixture(scope="module")
def segmenter():
    return LoadSegmenter().run("starter emoji segmenter")[0]


@pytest.fixture(scope="module")
def garden():
    return ExampleScene().run("garden")[0]


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setattr(standalone, "_places", {**standalone._places, "input": tmp_path})
    return tmp_path


def written(name):
    return named(Set, Set().run(name))["metadata"]


def test_the_scene_shows_one_prompt_of_each_kind_and_one_not(detector, segmenter, garden):
    """The set names them in pairs."""
    outputs = named(Prompt, Prompt().run(garden, detector, written("garden scene"), segmenter, **STARTERS))
    told = json.loads(outputs["data"])["images"]
    assert [image["right"] for image in told] == [True, False] * 6
    assert {image["prompt"]: image["reasons"] for image in told if not image["right"]} == {
        "a dog": ["expected 1 dog, found none"],
        "a cat and a pumpkin": ["expected 1 pumpkin, found none"],
        "two trees": ["expected 2 tree, found 1"],
        "a red tree": ["expected 1 red tree, found green"],
        "a tree left of a house": ["expected tree left of house, found it right of it"],
        "a yellow tree and a green cat": ["expected 1 yellow tree, found green", "expected 1 green cat, found yellow"],
    }
    assert outputs["prompts_right"] == 0.5
    assert all(outputs["scores"].value(kind) == 0.5 for kind in records.KINDS)
    assert {box["label"] for box in outputs["boxes"][0]} == {"cat", "house", "tree", "mushroom"}
    assert "Judged by Grounding DINO" in outputs["report"] and "agreed with people about 83 %" in outputs["report"]


def test_too_many_are_seen_too(detector, garden):
    """Two cats beside each other are not one."""
    picture = torch.cat([garden, garden], dim=2)
    record = '{"tag": "counting", "include": [{"class": "cat", "count": %d}], "exclude": [{"class": "cat", "count": %d}], "prompt": "cats"}'  # noqa: E501
    for count, right in ((1, 0.0), (2, 1.0), (3, 0.0)):
        outputs = named(Prompt, Prompt().run(picture, detector, record % (count, count + 1), **STARTERS))
        assert outputs["prompts_right"] == right


def test_published_thresholds_are_the_default(detector, garden):
    """0.9 where objects are counted: the starter is never so sure."""
    counted = records.write(records.of_kinds(records.shipped("garden scene"), "counting"))
    outputs = named(Prompt, Prompt().run(garden, detector, counted))
    assert outputs["prompts_right"] == 0 and "above 0.3, above 0.9 where objects are counted" in outputs["report"]


def test_without_a_segmenter_boxes_stand_for_masks(detector, garden):
    coloured = records.write(records.of_kinds(records.shipped("garden scene"), "colors, color_attr"))
    outputs = named(Prompt, Prompt().run(garden, detector, coloured, **STARTERS))
    assert outputs["prompts_right"] == 0.5
    assert "colours by the pixels of their boxes" in outputs["report"]


def tower(embed):
    weight = torch.randn(4, 3)
    return SimpleNamespace(embed=embed, projection=weight, identity="x", files=("x.pth",), in_files=True)


def test_clip_names_the_colours_where_it_is_connected(detector, segmenter, garden, monkeypatch):
    """A stand-in that calls everything purple, and has seen the object on grey."""
    for half in ("text_tower", "image_tower"):
        monkeypatch.setattr(host, half, lambda connected, graph, node_id: connected)
    crops = []

    def of_images(images):
        crops.append(images)
        return torch.eye(8)[:1]

    clip = tower(lambda text: torch.eye(8)[int("purple" not in text)][None])
    metadata = written("garden scene").replace('"red"', '"purple"')
    kept = records.write(records.of_kinds(records.read(metadata), "colors"))
    outputs = named(Prompt, Prompt().run(garden, detector, kept, segmenter, clip, tower(of_images), **STARTERS))
    told = {image["prompt"]: image["reasons"] for image in json.loads(outputs["data"])["images"]}
    assert told == {"a green tree": ["expected 1 green tree, found purple"], "a red tree": []}
    assert all(bool((crop[0, 0, 0] == colours.BACKGROUND).all()) for crop in crops)
    assert "colours by CLIP on their masks" in outputs["report"]


def test_half_a_clip_is_refused(detector, garden):
    with pytest.raises(BadInput, match="clip, clip_vision: one of them is missing"):
        Prompt().run(garden, detector, written("emoji"), clip=object())


def test_records_of_a_file(detector, garden, folder):
    with pytest.raises(MissingFile, match=r"metadata: there is no 'mine\.jsonl'"):
        Prompt().run(garden, detector, "mine.jsonl")
    assert Prompt.IS_CHANGED("mine.jsonl") == "" == Prompt.IS_CHANGED(written("emoji"))
    kept = records.write(records.of_kinds(records.shipped("garden scene"), "single_object"))
    (folder / "mine.jsonl").write_text("\ufeff" + kept, encoding="utf-8")
    outputs = named(Prompt, Prompt().run(garden, detector, " mine.jsonl ", **STARTERS))
    assert outputs["prompts_right"] == 0.5
    assert "mine.jsonl" in Prompt.IS_CHANGED("mine.jsonl") == Set.IS_CHANGED("own", "mine.jsonl")
    assert named(Set, Set().run("own", "mine.jsonl"))["metadata"] == kept
    with pytest.raises(BadInput, match="leads out of"):
        Prompt().run(garden, detector, "../mine.jsonl")
    (folder / "picture.png").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(BadInput, match=r"'picture\.png' is no text"):
        Prompt().run(garden, detector, "picture.png")


def test_a_set_says_what_is_in_it():
    outputs = named(Set, Set().run("emoji", kinds="counting, position"))
    assert outputs["count"] == 12 and len(outputs["prompts"].splitlines()) == 12
    assert outputs["prompts"].splitlines()[0] == "two cats"
    assert outputs["report"] == "12 prompts\ncounting: 6\nposition: 6"
