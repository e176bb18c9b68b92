"""Rows are ranked together only where they were taken in one way: every node that scores, times every input of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from trilemma import host
from trilemma.host import standalone
from trilemma.models import weights
from trilemma.models.detection.base import Detector
from trilemma.models.generators.binding import Bound
from trilemma.models.scoring import taken_by
from trilemma.models.scoring.leaderboard import leaderboard
from trilemma.models.scoring.protocols import PROTOCOLS
from trilemma.models.scoring.reports.leaderboard_text import to_csv, to_json
from trilemma.models.scoring.scores import Score, Scores, from_json
from trilemma.models.scoring.scores import to_json as scores_to_json
from trilemma.models.values import Detections
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.nodes.common import kinds
from trilemma.tests.generators.toy import Toy as ToyGenerator
from trilemma.tests.scoring.boards import model, provenance
from trilemma.tests.scoring.toy import Toy, features

pytestmark = pytest.mark.slow

Inputs = dict[str, Any]
OPTIONS = {"truncation_psi": 1.0, "truncation_cutoff": 0}


class ToyDetector(Detector):
    """Sees every phrase in the middle of every image, as surely as its one weight says."""

    architecture = "toy"

    def __init__(self, certainty: float) -> None:
        layer = nn.Linear(1, 1, bias=False)
        nn.init.constant_(layer.weight, certainty)
        self.modules = (layer,)
        self.identity = weights.identity(layer.state_dict())

    def detect(self, images, prompt, batch_size, on_step=lambda done: None):
        phrases = tuple(prompt.split(" . "))
        boxes = torch.tensor([0.5, 0.5, 0.5, 0.5]).expand(len(images), len(phrases), 4)
        probabilities = torch.eye(len(phrases)).expand(len(images), -1, -1) * self.modules[0].weight.detach()
        on_step(len(images))
        words = torch.eye(len(phrases), dtype=torch.bool)
        return Detections(boxes, probabilities, words, phrases, phrases, *images.shape[1:3])

    def memory_bytes(self, batch_size, height, width):
        return 1000 * batch_size


def pictures(count=2, side=64, seed=0):
    return torch.rand(count, side, side, 3, generator=torch.Generator().manual_seed(seed))


def middle(side=64, at=16):
    mask = torch.zeros(1, side, side)
    mask[0, at : side - at, at : side - at] = 1
    return mask


def tower(name, seed):
    """Half of a CLIP, as the host hands it to the node: embeddings of 4 numbers, by the length of a text or the mean
    of a picture."""
    weight = torch.randn(4, 3, generator=torch.Generator().manual_seed(seed))

    def embed(given):
        if isinstance(given, str):
            return (weight @ torch.tensor([1.0, float(len(given)), 2.0]))[None]
        return given.mean(dim=(1, 2)) @ weight.T

    return SimpleNamespace(
        embed=embed, projection=weight, identity=f"{name} {seed}", files=(f"{name}.pth",), in_files=True
    )


RECORD = '{"tag": "colors", "include": [{"class": "cat", "count": 1, "color": "red"}], "prompt": "a red cat"}'


@cache
def segmenter():
    return NODE_CLASS_MAPPINGS["TrilemmaLoadSegmenter"]().run("starter emoji segmenter")[0]


def handle(of):
    return host.hold(of, (of.generator if isinstance(of, Bound) else of).modules)


def generator(**changes):
    made = ToyGenerator(options=OPTIONS)
    made.identity = changes.get("identity", "toy")
    return handle(Bound(made))


class Clip(Toy):
    """A toy that is taken for the network of CMMD."""

    setup = PROTOCOLS["CMMD"].setup

    def __init__(self) -> None:
        super().__init__(resize="bicubic")


def drawn() -> Inputs:
    return {
        "generator": generator(),
        "extractor": handle(Toy()),
        "reference": features(0, 50, "real", 40),
        "num_images": 12,
        "first_seed": 3,
        "filename_prefix": "scored/toy",
        "nearest_k": 2,
    }


DRAWN_DECIDES: Mapping[str, Callable[[], Inputs]] = {
    # Another extractor asks for a reference that was taken by it.
    "extractor": lambda: {"extractor": handle(Toy(1)), "reference": features(0, 50, "real", 40, toy=Toy(1))},
    "reference": lambda: {"reference": features(0, 49, "real", 40)},
    "num_images": lambda: {"num_images": 13},
    "kept_rows": lambda: {"kept_rows": 10},
    "rows_seed": lambda: {"rows_seed": 1},
    "kid_subsets": lambda: {"kid_subsets": 50},
    "kid_subset_size": lambda: {"kid_subset_size": 4},
    "nearest_k": lambda: {"nearest_k": 3},
    "neighbourhood": lambda: {"neighbourhood": "closed"},
    "subsets_seed": lambda: {"subsets_seed": 1},
    "kid_kernel": lambda: {"kid_kernel": "gaussian"},
    "held_out": lambda: {"held_out": features(200, 240, "unseen", 40)},
    "protocol": lambda: {
        "protocol": "CMMD",
        "extractor": handle(Clip()),
        "reference": features(0, 40, "real", 40, toy=Clip()),
    },
}
DRAWN_IDLE: Mapping[str, Callable[[], Inputs]] = {
    "generator": lambda: {"generator": generator(identity="another")},
    "first_seed": lambda: {"first_seed": 40},
    "filename_prefix": lambda: {"filename_prefix": "elsewhere/toy"},
    "name": lambda: {"name": "mine"},
    "batch_size": lambda: {"batch_size": 5},
    "diversity": lambda: {"diversity": True},
}

BASE: Mapping[str, Callable[[], Inputs]] = {
    "TrilemmaScore": lambda: {
        "generated": features(0, 40),
        "reference": features(40, 99, "real", 40),
        "kid_subset_size": 10,
    },
    "TrilemmaBenchmarkGenerator": lambda: {**drawn(), "num_shown": 2},
    "TrilemmaSweep": lambda: {**drawn(), "option": "truncation_psi", "values": "0.3, 1"},
    "TrilemmaCompareImages": lambda: {
        "reference": pictures(),
        "image": pictures(seed=1),
        "lpips": "none",
        "gain": 4.0,
    },
    "TrilemmaCLIPScore": lambda: {
        "clip": tower("text", 0),
        "clip_vision": tower("image", 1),
        "image": pictures(),
        "prompt": "a cat\na dog",
    },
    "TrilemmaScoreSharpness": lambda: {"images": pictures(), "reference": pictures(seed=1)},
    "TrilemmaScoreTriangles": lambda: {"images": pictures(), "delta": 0.75},
    "TrilemmaScorePrompt": lambda: {
        "images": pictures(),
        "detector": handle(ToyDetector(0.8)),
        "metadata": RECORD,
        "clip": tower("text", 0),
        "clip_vision": tower("image", 1),
        "segmenter": segmenter(),
    },
    "TrilemmaScoreEdit": lambda: {
        "original": pictures(),
        "edited": pictures(seed=1),
        "mask": middle(),
        "detector": handle(ToyDetector(0.8)),
        "new_object": "a pumpkin",
        "old_object": "a mushroom",
    },
}
"""Every node that makes scores -> inputs with which it does."""

DECIDES: Mapping[str, Mapping[str, Callable[[], Inputs]]] = {
    "TrilemmaScore": {
        "reference": lambda: {"reference": features(40, 98, "real", 40)},
        "kid_subsets": lambda: {"kid_subsets": 50},
        "kid_subset_size": lambda: {"kid_subset_size": 8},
        "nearest_k": lambda: {"nearest_k": 3},
        "neighbourhood": lambda: {"neighbourhood": "closed"},
        "subsets_seed": lambda: {"subsets_seed": 1},
        "kid_kernel": lambda: {"kid_kernel": "gaussian"},
        "held_out": lambda: {"held_out": features(200, 240, "unseen", 40)},
        "protocol": lambda: {
            "protocol": "CMMD",
            "generated": features(0, 20, toy=Clip()),
            "reference": features(40, 60, "real", 40, toy=Clip()),
        },
    },
    "TrilemmaBenchmarkGenerator": DRAWN_DECIDES,
    "TrilemmaSweep": DRAWN_DECIDES,
    "TrilemmaCompareImages": {
        "reference": lambda: {"reference": pictures(seed=2)},
        "lpips": lambda: {"lpips": "alex"},
    },
    "TrilemmaCLIPScore": {
        "clip": lambda: {"clip": tower("text", 2)},
        "clip_vision": lambda: {"clip_vision": tower("image", 2)},
        "prompt": lambda: {"prompt": "a cat\na mouse"},
    },
    "TrilemmaScoreSharpness": {"reference": lambda: {"reference": pictures(seed=2)}},
    "TrilemmaScoreTriangles": {"delta": lambda: {"delta": 1.0}},
    "TrilemmaScorePrompt": {
        "detector": lambda: {"detector": handle(ToyDetector(0.9))},
        "metadata": lambda: {"metadata": RECORD.replace("red", "blue")},
        "clip": lambda: {"clip": tower("text", 2)},
        "clip_vision": lambda: {"clip_vision": tower("image", 2)},
        "segmenter": lambda: {"segmenter": None},
        "threshold": lambda: {"threshold": 0.4},
        "counting_threshold": lambda: {"counting_threshold": 0.4},
        "nms_threshold": lambda: {"nms_threshold": 0.4},
        "position_margin": lambda: {"position_margin": 0.2},
        "also_ask": lambda: {"also_ask": "a dog"},
    },
    "TrilemmaScoreEdit": {
        "original": lambda: {"original": pictures(seed=2)},
        "mask": lambda: {"mask": middle(at=17)},
        "detector": lambda: {"detector": handle(ToyDetector(0.9))},
        "new_object": lambda: {"new_object": "a lantern"},
        "old_object": lambda: {"old_object": "a lantern"},
        "box_threshold": lambda: {"box_threshold": 0.3},
        "min_iou": lambda: {"min_iou": 0.4},
        "mask_threshold": lambda: {"mask_threshold": 0.2},
    },
}
"""Of each, the inputs that decide how scores are taken -> what else they can be."""

IDLE: Mapping[str, Mapping[str, Callable[[], Inputs]]] = {
    "TrilemmaScore": {
        "generated": lambda: {"generated": features(100, 140, "others")},
        "name": lambda: {"name": "mine"},
        "diversity": lambda: {"diversity": True},
    },
    "TrilemmaBenchmarkGenerator": {**DRAWN_IDLE, "num_shown": lambda: {"num_shown": 3}},
    "TrilemmaSweep": {
        **DRAWN_IDLE,
        "option": lambda: {"option": "truncation_cutoff", "values": "1, 2"},
        "values": lambda: {"values": "0.2, 0.4"},
        "knee_of": lambda: {"knee_of": "FID and IS"},
        "theme": lambda: {"theme": "dark"},
    },
    "TrilemmaCompareImages": {
        "image": lambda: {"image": pictures(seed=3)},
        "gain": lambda: {"gain": 1.0},
        "name": lambda: {"name": "mine"},
    },
    "TrilemmaCLIPScore": {
        "image": lambda: {"image": pictures(seed=3)},
        "batch_size": lambda: {"batch_size": 1},
        "name": lambda: {"name": "mine"},
    },
    "TrilemmaScoreSharpness": {
        "images": lambda: {"images": pictures(seed=3)},
        "name": lambda: {"name": "mine"},
    },
    "TrilemmaScoreTriangles": {
        "images": lambda: {"images": pictures(seed=3)},
        "name": lambda: {"name": "mine"},
    },
    "TrilemmaScorePrompt": {
        "images": lambda: {"images": pictures(seed=3)},
        "name": lambda: {"name": "mine"},
    },
    "TrilemmaScoreEdit": {
        "edited": lambda: {"edited": pictures(seed=3)},
        "name": lambda: {"name": "mine"},
    },
}
"""Of each, the inputs that do not: what is judged, and what is only shown, named or faster."""

JUDGED: Mapping[str, tuple[str, Callable[[], Inputs]]] = {
    "another number of samples": ("TrilemmaScore", lambda: {"generated": features(0, 41)}),
    "another number of rows": ("TrilemmaScore", lambda: {"generated": features(0, 40, capacity=19)}),
    "other rows": ("TrilemmaScore", lambda: {"generated": features(0, 40, seed=1)}),
    "another resize": (
        "TrilemmaScore",
        lambda: {
            "generated": features(0, 40, toy=Toy(resize="clean")),
            "reference": features(40, 99, "real", 40, toy=Toy(resize="clean")),
        },
    ),
    "more taps": (
        "TrilemmaScore",
        lambda: {
            "generated": features(0, 40, taps=("deep", "early")),
            "reference": features(40, 99, "real", 40, taps=("deep", "early")),
        },
    ),
    "another number of pairs": ("TrilemmaCompareImages", lambda: {"image": pictures(1), "reference": pictures(1)}),
    "another size of images": (
        "TrilemmaCompareImages",
        lambda: {"image": pictures(side=48), "reference": pictures(side=48)},
    ),
    "another number of prompted images": ("TrilemmaCLIPScore", lambda: {"image": pictures(4)}),
    "another number of verified images": ("TrilemmaScorePrompt", lambda: {"images": pictures(3)}),
    "pixels name colours": ("TrilemmaScorePrompt", lambda: {"clip": None, "clip_vision": None}),
    "nobody asked": ("TrilemmaScoreEdit", lambda: {"detector": None}),
}
"""What is judged can differ in what decides too."""


@pytest.fixture(autouse=True)
def places(monkeypatch, tmp_path):
    changed = {**standalone._places, "output": tmp_path / "output", "models": tmp_path / "models"}
    monkeypatch.setattr(standalone, "_places", changed)
    for half in ("text_tower", "image_tower"):
        monkeypatch.setattr(host, half, lambda connected, graph, node_id: connected)
    return tmp_path


def alexnet(folder, seed=0):
    """LPIPS's smaller backbone with random weights, as the user would put it there."""
    torchvision = pytest.importorskip("torchvision")
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in torchvision.models.alexnet(weights=None).state_dict().items()}
    drawing = torch.Generator().manual_seed(seed)
    tensors = {
        name: torch.randn(shape, generator=drawing) * 0.05 if name.startswith("f") else torch.zeros(1).expand(shape)
        for name, shape in shapes.items()
    }
    path = folder / "models" / "metrics" / "alexnet-owt-7be5be79.pth"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(tensors, path)


def scored(node: str, inputs: Inputs) -> list[Scores]:
    """Everything that comes out of the node's sockets for scores."""
    made = NODE_CLASS_MAPPINGS[node]
    with torch.inference_mode():
        outputs = made().run(**inputs)["result"]
    found = [
        each
        for output, socket in zip(outputs, made.RETURN_TYPES, strict=True)
        if socket == kinds.SCORES
        for each in (output if isinstance(output, list) else [output])
    ]
    assert found
    return found


@cache
def as_it_is(node: str) -> list[Scores]:
    return scored(node, BASE[node]())


def both(node: str, change: Inputs) -> tuple[list[Scores], list[Scores]]:
    return as_it_is(node), scored(node, {**BASE[node](), **change})


def cases(table: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    """Each node with each of its inputs; Sweep, which draws its curves every time, in the slow ring."""
    slow = {"TrilemmaSweep": (pytest.mark.slow,)}
    return [
        pytest.param(node, name, marks=slow.get(node, ()), id=f"{node.removeprefix('Trilemma')}-{name}")
        for node, found in table.items()
        for name in found
    ]


def groups(*rows: Scores) -> list[list[str]]:
    """Names of the rows that a leaderboard ranks together."""
    named = [Scores(str(place), row.scores, row.cost, row.provenance) for place, row in enumerate(rows)]
    first = next(score.metric for score in rows[0].scores if not math.isnan(score.value))
    board = leaderboard(named, first)
    assert len({group.heading for group in board.groups}) == len(board.groups)
    assert all(group.heading for group in board.groups)
    return sorted(sorted(row.name for row in group.rows) for group in board.groups)


def test_every_node_that_makes_scores_is_here():
    makers = {
        name
        for name, node in NODE_CLASS_MAPPINGS.items()
        if kinds.SCORES in node.RETURN_TYPES
        and kinds.SCORES not in [spec[0] for section in node.INPUT_TYPES().values() for spec in section.values()]
    }
    assert makers == BASE.keys() == DECIDES.keys() == IDLE.keys()


@pytest.mark.parametrize("node", BASE)
def test_every_input_has_a_verdict(node):
    inputs = NODE_CLASS_MAPPINGS[node].INPUT_TYPES()
    assert {*inputs["required"], *inputs.get("optional", {})} == {*DECIDES[node], *IDLE[node]}
    assert not DECIDES[node].keys() & IDLE[node].keys()


@pytest.mark.parametrize(("node", "name"), cases(DECIDES))
def test_what_decides_parts_rows(node, name, places):
    if name == "lpips":
        alexnet(places)
    for one, other in zip(*both(node, DECIDES[node][name]()), strict=True):
        assert taken_by.key_of(one.provenance) != taken_by.key_of(other.provenance)
        assert groups(one, other) == [["0"], ["1"]]


@pytest.mark.parametrize(("node", "name"), cases(IDLE))
def test_what_does_not_decide_leaves_rows_together(node, name):
    one, other = both(node, IDLE[node][name]())
    assert len({taken_by.key_of(scores.provenance) for scores in (*one, *other)}) == 1
    assert groups(*one, *other) == [[str(place) for place in range(len(one) + len(other))]]


@pytest.mark.parametrize("case", JUDGED)
def test_what_is_judged_can_decide_too(case):
    node, change = JUDGED[case]
    (one,), (other,) = both(node, change())
    assert groups(one, other) == [["0"], ["1"]]


def test_thresholds_decide_only_where_somebody_looks():
    blind = {**BASE["TrilemmaScoreEdit"](), "detector": None}
    changes = [{}, {"box_threshold": 0.1}, {"min_iou": 0.1}, {"new_object": "a lantern"}]
    rows = [scored("TrilemmaScoreEdit", {**blind, **change})[0] for change in changes]
    assert groups(*rows) == [["0", "1", "2", "3"]]


def test_one_mask_for_all_is_as_many_alike():
    (one,), (other,) = both("TrilemmaScoreEdit", {"mask": middle().expand(2, -1, -1)})
    assert groups(one, other) == [["0", "1"]]


def test_lpips_is_told_by_its_weights(places):
    rows = []
    for seed in (0, 0, 1):
        alexnet(places, seed)
        rows += scored("TrilemmaCompareImages", {**BASE["TrilemmaCompareImages"](), "lpips": "alex"})
    assert groups(*rows) == [["0", "1"], ["2"]]


@pytest.mark.parametrize("node", BASE)
def test_a_report_on_disk_says_the_same(node):
    for scores in as_it_is(node):
        read = from_json(scores_to_json(scores))
        assert read.provenance[taken_by.KEY] == scores.provenance[taken_by.KEY]
        assert groups(scores, read) == [["0", "1"]]


def test_tables_tell_how_every_kind_was_taken():
    rows = [as_it_is(node)[0] for node in ("TrilemmaScore", "TrilemmaCompareImages", "TrilemmaScoreEdit")]
    board = leaderboard(rows, "psnr")
    told = [group["setting"] for group in json.loads(to_json(board))["groups"]]
    assert [group["of"] for group in told] == ["features", "pairs", "edits"]
    assert (told[0]["reference"], told[0]["samples"]) == ("real", 40)
    header, *lines = to_csv(board).splitlines()
    assert {"of", "extractor", "reference", "reference_identity", "lpips", "mask_identity"} <= set(header.split(","))
    assert len(lines) == 3


def older(**told):
    return Scores("old", (Score("psnr", 30.0), Score("clip_score", 20.0), Score("fid", 3.0)), {}, told)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"images": 4, "size": [64, 64], "lpips": "alex"}, {"images": 4, "size": [512, 512], "lpips": "vgg"}),
        ({"images": 8, "clip": ["clip_l.pth"]}, {"images": 64, "clip": ["clip_g.pth"]}),
        ({"images": 1, "new_object": "a cat"}, {"images": 1, "new_object": "a dog"}),
        (provenance(), provenance(rows_seed=1)),
        (provenance(), provenance(subsets={"nearest_k": 5, "kid_subset_size": 1000, "subsets_seed": 3})),
    ],
)
def test_reports_from_before_are_ranked_by_what_they_tell(one, other):
    assert groups(older(**one), older(**other), older(**one)) == [["0", "2"], ["1"]]


def test_a_report_from_before_is_never_ranked_along_with_a_newer_one():
    """It does not tell all, so nobody knows."""
    (new,) = as_it_is("TrilemmaScore")
    before = {name: value for name, value in new.provenance.items() if name != taken_by.KEY}
    old = Scores(new.name, new.scores, new.cost, before)
    assert groups(new, old) == [["0"], ["1"]]


def test_speed_of_another_device_is_warned_of():
    rows = [model("a", came_from=provenance(device=device)) for device in ("cpu", "cuda")]
    (group,) = leaderboard(rows).groups
    assert [row.warnings for row in group.rows] == [
        (f"speed and memory are those of {device}, others' of another device",) for device in ("cpu", "cuda")
    ]
