"""The nodes that score single images, and the gate; through the command line where that has a say."""

import json
import math

import pytest
import torch
from trilemma import NODE_CLASS_MAPPINGS, headless
from trilemma.host import standalone
from trilemma.models.errors import BadInput, CannotDo, MissingFile, ScoreMissed
from trilemma.models.scoring.scores import Score, Scores
from trilemma.nodes.detect import LoadDetector
from trilemma.nodes.files import ExampleScene

pytestmark = pytest.mark.slow

Compare, Clip, Edit, Gate, Sharp = (
    NODE_CLASS_MAPPINGS[f"Trilemma{name}"]
    for name in ("CompareImages", "CLIPScore", "ScoreEdit", "ScoreGate", "ScoreSharpness")
)


@pytest.fixture
def places(monkeypatch, tmp_path):
    monkeypatch.setattr(standalone, "_places", {**standalone._places, "models": tmp_path})
    return tmp_path


def named(node, answer):
    """The outputs by name; what is shown is the report."""
    outputs = dict(zip(node.RETURN_NAMES, answer["result"], strict=True))
    assert answer["ui"] == {"text": [outputs["report"]]}
    return outputs


def pictures(count=1, side=32, seed=0):
    return torch.rand(count, side, side, 3, generator=torch.Generator().manual_seed(seed))


def test_images_are_compared():
    outputs = named(Compare, Compare().run(pictures(), pictures(2, seed=1), "none", 4.0, name="mine"))
    assert outputs["difference"].shape == (2, 32, 32, 3)
    assert 5 < outputs["psnr"] < 10 and -0.1 < outputs["ssim"] < 0.2
    assert math.isnan(outputs["ms_ssim"]) and math.isnan(outputs["lpips"])
    assert "MS-SSIM left out: needs images of at least 176 x 176 pixels, found 32 x 32" in outputs["report"]
    assert outputs["scores"].name == "mine"
    assert outputs["scores"].value("psnr") == outputs["psnr"]
    assert len(json.loads(outputs["data"])["images"]) == 2


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_a_missing_network_says_where_it_comes_from(net, places):
    with pytest.raises(MissingFile) as caught:
        Compare().run(pictures(), pictures(), net, 4.0)
    message = str(caught.value)
    assert "https://download.pytorch.org/models/" in message and "SHA-256" in message and "bytes" in message
    assert str(places / "metrics") in message


def test_lpips_takes_the_file_of_the_users_folder(places):
    torchvision = pytest.importorskip("torchvision")
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in torchvision.models.alexnet(weights=None).state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    features = {
        name: torch.randn(shape, generator=generator) * 0.05 for name, shape in shapes.items() if name[0] == "f"
    }
    classifier = {name: torch.zeros(1).expand(shape) for name, shape in shapes.items() if name not in features}
    (places / "metrics" / "torchvision").mkdir(parents=True)
    torch.save({**features, **classifier}, places / "metrics" / "torchvision" / "alexnet-owt-7be5be79.pth")

    with torch.inference_mode():
        outputs = named(Compare, Compare().run(pictures(side=64), pictures(2, side=64, seed=1), "alex", 1.0))
        same = named(Compare, Compare().run(pictures(side=64), pictures(side=64), "alex", 1.0))

    assert outputs["lpips"] > 0.001
    assert outputs["scores"].value("lpips") == outputs["lpips"]
    assert same["lpips"] == 0
    assert not bool(same["difference"][..., :2].any())


def test_sizes_that_differ_are_refused():
    with pytest.raises(BadInput, match="32 x 32 and image of 16 x 16"):
        Compare().run(pictures(), pictures(side=16), "none", 4.0)


def test_clip_score_needs_comfyui():
    with pytest.raises(CannotDo, match=r"headless\.py --comfyui"):
        Clip().run(object(), object(), pictures(), "a cat")


@pytest.fixture(scope="module")
def scene():
    return ExampleScene().run("garden")[0]


@pytest.fixture(scope="module")
def detector():
    return LoadDetector().run("starter emoji detector")[0]


def test_an_edit_is_judged_by_the_starter_detector(detector, scene):
    """Nothing was edited: the old object is still there, and the rest is untouched."""
    mask = torch.zeros(1, *scene.shape[1:3])
    boxes = NODE_CLASS_MAPPINGS["TrilemmaDetectByText"]().run(detector, scene, "a mushroom . a pumpkin")[0]
    (found, *_), *_ = NODE_CLASS_MAPPINGS["TrilemmaSelectDetections"]().run(boxes, 0.35, 0.25)["result"][0]
    x, y, width, height = (round(found[key]) for key in ("x", "y", "width", "height"))
    mask[0, y : y + height, x : x + width] = 1

    outputs = named(Edit, Edit().run(scene, scene, mask, detector, "a pumpkin", "a mushroom"))
    assert (outputs["edit_done"], outputs["old_object_gone"]) == (False, False)
    assert math.isnan(outputs["new_object_score"])
    assert (outputs["untouched_psnr"], outputs["untouched_difference"], outputs["seam"]) == (math.inf, 0, 0)
    assert "a mushroom is STILL there" in outputs["report"]

    outputs = named(Edit, Edit().run(scene, scene, mask, detector, "a mushroom", "a pumpkin", name="swapped"))
    assert (outputs["edit_done"], outputs["old_object_gone"]) == (True, True)
    assert outputs["new_object_score"] == pytest.approx(found["score"], abs=0.2)
    assert outputs["scores"].value("edit_done") == 1
    assert outputs["scores"].name == "swapped"


def test_without_a_detector_only_the_rest_is_judged(scene):
    outputs = named(Edit, Edit().run(scene, 1 - scene, torch.zeros(1, 64, 64), new_object="a cat"))
    assert (outputs["edit_done"], outputs["old_object_gone"]) == (False, False)
    assert outputs["untouched_psnr"] < 20
    assert math.isnan(outputs["scores"].value("edit_done"))


def test_a_detector_needs_a_name(detector, scene):
    with pytest.raises(BadInput, match="both are empty"):
        Edit().run(scene, scene, torch.ones(1, 64, 64), detector)


SCORES = Scores("edit", (Score("psnr", 30.0), Score("lpips", math.nan, note="no network was chosen")))


def test_the_gate_lets_through_what_passes():
    outputs = named(Gate, Gate().run("good", "psnr", "at least", 30.0, scores=SCORES, value=31.0))
    assert (outputs["scores"], outputs["value"]) == (SCORES, 31.0)
    assert outputs["report"].count("passed") == 2
    outputs = named(Gate, Gate().run("good", " psnr ", "at least", 29.0, scores=SCORES))
    assert math.isnan(outputs["value"])
    assert named(Gate, Gate().run("good", "", "at most", 1.0, value=0.5))["scores"] is None


@pytest.mark.parametrize(
    ("metric", "inputs", "said"),
    [
        ("psnr", {"scores": SCORES}, "strict: psnr of edit is 30, but must be at least 40"),
        ("lpips", {"scores": SCORES}, r"lpips of edit has no value \(no network was chosen\)"),
        ("fid", {"scores": SCORES}, "edit has no 'fid'; it has psnr, lpips"),
        ("", {"value": 39.0}, "strict: value is 39, but must be at least 40"),
        ("", {"value": math.nan}, "value has no value"),
        ("psnr", {"scores": Scores("x", (Score("psnr", 50.0),)), "value": 1.0}, "value is 1"),
    ],
)
def test_the_gate_fails_by_name_and_number(metric, inputs, said):
    with pytest.raises(ScoreMissed, match=said):
        Gate().run("strict", metric, "at least", 40.0, **inputs)


def test_a_gate_without_anything_to_check_is_an_error_of_the_graph():
    with pytest.raises(BadInput, match="neither is connected"):
        Gate().run("empty", "psnr", "at least", 1.0)


def run(graph, tmp_path, capsys):
    file = tmp_path / "graph.json"
    file.write_text(json.dumps(graph))
    code = headless.main([str(file), "--output", str(tmp_path / "out")])
    captured = capsys.readouterr()
    return code, json.loads(captured.out), captured.err


def gated(threshold):
    scene = {"class_type": "TrilemmaExampleScene", "inputs": {"scene": "garden"}}
    compare = {"reference": ["1", 0], "image": ["2", 0], "lpips": "none", "gain": 4.0}
    gate = {"name": "nightly", "metric": "psnr", "comparison": "at least", "threshold": threshold, "scores": ["3", 5]}
    return {
        "1": scene,
        "2": {"class_type": "TrilemmaExampleScene", "inputs": {"scene": "night"}},
        "3": {"class_type": "TrilemmaCompareImages", "inputs": compare},
        "4": {"class_type": "TrilemmaScoreGate", "_meta": {"title": "The gate"}, "inputs": gate},
    }


def test_headless_exits_with_3_when_a_score_misses(places, tmp_path, capsys):
    code, result, err = run(gated(60.0), tmp_path, capsys)
    assert code == 3
    assert result["error"]["title"] == "The gate"
    assert result["error"]["message"].startswith("nightly: psnr of compared images is ")
    assert "but must be at least 60" in err and "Traceback" not in err


def test_headless_exits_with_0_when_it_passes(places, tmp_path, capsys):
    code, result, _ = run(gated(1.0), tmp_path, capsys)
    assert code == 0
    assert result["outputs"]["4"]["text"][0].endswith("passed")


def test_another_failure_is_still_1(places, tmp_path, capsys):
    graph = gated(1.0)
    graph["3"]["inputs"]["lpips"] = "alex"
    assert run(graph, tmp_path, capsys)[0] == 1


def test_soft_images_are_told():
    sharp = pictures(3, 64)
    soft = torch.nn.functional.avg_pool2d(sharp.movedim(-1, 1), 3, 1, 1).movedim(1, -1)
    outputs = named(Sharp, Sharp().run(soft, sharp, name="mine"))
    assert outputs["slope"] < -0.5
    assert 0.3 < outputs["lost"] < 1
    assert outputs["scores"].name == "mine"
    assert outputs["scores"].value("high_frequencies_lost") == outputs["lost"]
    assert named(Sharp, Sharp().run(sharp, sharp))["lost"] == pytest.approx(0)
