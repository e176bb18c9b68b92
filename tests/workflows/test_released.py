"""The examples of every released version still mean what they meant: same nodes, same inputs, and they may run.

A folder is named by the version that shipped what is in it, and never changed.
"""

import json
from pathlib import Path

import pytest
from trilemma import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS
from trilemma.host import core_nodes, workflow
from trilemma.host.validation import validate

HERE = Path(__file__).resolve().parent
CLASSES = {**core_nodes.NODES, **NODE_CLASS_MAPPINGS}
TITLES = {**core_nodes.DISPLAY_NAMES, **NODE_DISPLAY_NAME_MAPPINGS}
RELEASED = sorted(HERE.glob("*/*.json"))


def name(path):
    return f"{path.parent.name}-{path.stem}"


def api_form(path):
    return json.loads((path.parent / "api" / path.name).read_text())


def test_every_version_has_both_forms():
    assert RELEASED
    for folder in {path.parent for path in RELEASED}:
        assert {path.name for path in folder.glob("*.json")} == {path.name for path in (folder / "api").glob("*.json")}


@pytest.mark.parametrize("path", RELEASED, ids=name)
def test_the_api_form_is_valid(path):
    graph = api_form(path)
    nodes, outputs = validate(graph, CLASSES)
    assert outputs
    assert nodes.keys() == graph.keys()


@pytest.mark.slow
@pytest.mark.parametrize("path", RELEASED, ids=name)
def test_the_pages_form_gives_the_inputs_that_it_gave(path):
    pytest.importorskip("comfy_cli", reason="no comfy-cli to convert the page's form")
    graph, _ = workflow.read(path, CLASSES, TITLES)
    expected = api_form(path)
    assert graph.keys() == expected.keys()
    for node_id, node in expected.items():
        assert graph[node_id]["class_type"] == node["class_type"]
        # What was added since has its default.
        assert node["inputs"].items() <= graph[node_id]["inputs"].items()
