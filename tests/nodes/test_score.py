"""The nodes that compare sets of features."""

import json

import pytest
from trilemma import host
from trilemma.models.errors import BadInput
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.tests.scoring.toy import Toy, features

Score, Reference = (NODE_CLASS_MAPPINGS[f"Trilemma{name}"] for name in ("Score", "ExampleReference"))


def test_numbers_come_out_one_by_one_and_together():
    shown = Score().run(features(0, 40), features(40, 99), "mine", kid_subset_size=10, nearest_k=3, prompt={"1": {}})
    scores, *numbers, data, report = shown["result"]
    assert dict(zip(Score.RETURN_NAMES[1:6], numbers, strict=True)) == {
        metric: scores.value(metric) for metric in ("fid", "kid", "inception_score", "precision", "recall")
    }
    assert shown["ui"]["text"] == [report]
    assert report.startswith("mine\n")
    told = json.loads(data)
    assert told["name"] == "mine"
    assert told["provenance"]["graph"] == {"1": {}}
    assert told["provenance"]["subsets"]["nearest_k"] == 3
    assert told["provenance"]["host"] == host.version()


def test_the_graph_stays_out_of_reports_where_the_user_wants_no_metadata(monkeypatch):
    monkeypatch.setattr(host, "keeps_metadata", lambda: False)
    scores = Score().run(features(0, 40), features(40, 99), prompt={"1": {}})["result"][0]
    assert "graph" not in scores.provenance


def test_every_default_of_the_node_is_the_libraries_own():
    # Of a list without a default ComfyUI takes the first.
    optional = Score.INPUT_TYPES()["optional"]
    settings = {
        name: spec[1].get("default", spec[0][0]) for name, spec in optional.items() if name not in ("name", "held_out")
    }
    sets = features(0, 40), features(40, 99)
    assert Score().run(*sets, **settings)["result"][0] == Score().run(*sets)["result"][0]


def test_extractors_are_not_mixed():
    with pytest.raises(BadInput, match="were taken in different ways"):
        Score().run(features(0, 40), features(40, 99, toy=Toy(weights=1)))


def test_the_example_reference_is_ready():
    found, info = Reference().run("starter emoji pictures")["result"]
    assert found.source.extractor == "starter emoji classifier"
    assert info.startswith("starter emoji pictures: 4096 images\n")
