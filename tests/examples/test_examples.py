"""The shipped examples: both forms say the same, seeds are fixed, and each runs headless and paints."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from trilemma import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS
from trilemma.host import core_nodes, workflow

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "example_workflows"
EXAMPLES = sorted(path.stem for path in FOLDER.glob("*.json"))


def api_form(name):
    return json.loads((FOLDER / "api" / f"{name}.json").read_text())


def test_every_example_has_both_forms_and_a_thumbnail():
    assert EXAMPLES
    assert sorted(path.stem for path in (FOLDER / "api").glob("*.json")) == EXAMPLES
    assert sorted(path.stem for path in FOLDER.glob("*.jpg")) == EXAMPLES


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_pages_form_converts_to_the_api_form(name):
    pytest.importorskip("comfy_cli", reason="no comfy-cli to convert the page's form")
    classes = {**core_nodes.NODES, **NODE_CLASS_MAPPINGS}
    titles = {**core_nodes.DISPLAY_NAMES, **NODE_DISPLAY_NAME_MAPPINGS}
    graph, _ = workflow.read(FOLDER / f"{name}.json", classes, titles)

    expected = api_form(name)
    assert graph.keys() == expected.keys()
    for node_id, node in expected.items():
        assert graph[node_id]["class_type"] == node["class_type"]
        assert graph[node_id]["inputs"] == node["inputs"]
        assert graph[node_id]["_meta"]["title"] == node["_meta"]["title"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_seeds_are_fixed(name):
    nodes = json.loads((FOLDER / f"{name}.json").read_text())["nodes"]
    controls = [value for node in nodes for value in node.get("widgets_values", []) if value in ("fixed", "randomize")]
    seeded = [node for node in api_form(name).values() if "seed" in node["inputs"]]
    assert controls == ["fixed"] * len(seeded)


@pytest.mark.slow
def test_grounded_inpaint_repaints_the_object_and_nothing_else(run):
    """The mushroom of the shipped scene is found, cut out, and painted over; its surroundings stay as they are."""
    outputs = run(FOLDER / "api" / "grounded_inpaint.json")
    assert "a mushroom" in outputs["4"]["text"][0]

    def picture(node_id):
        return np.asarray(Image.open(outputs[node_id]["images"][0]).convert("RGB"), dtype=int)

    before = np.asarray(Image.open(ROOT / "models/starter/scenes/garden.png").convert("RGB"), dtype=int)
    changed = (picture("18") != before).any(axis=2)
    mask = picture("16")[..., 0] > 127
    rows, columns = changed.nonzero()
    assert changed[mask & (np.arange(mask.shape[1]) > 192)].mean() > 0.9
    assert rows.min() > 192
    assert columns.min() > 192
