"""The blueprints in subgraphs/, each as a user drops it into a graph: it converts, fits, and does what it says."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from trilemma import NODE_CLASS_MAPPINGS, headless
from trilemma.host import core_nodes, standalone

pytest.importorskip("comfy_cli", reason="no comfy-cli to convert the page's form")
pytestmark = pytest.mark.slow

FOLDER = Path(__file__).resolve().parents[2] / "subgraphs"
BLUEPRINTS = sorted(path.stem for path in FOLDER.glob("*.json"))
CLASSES = {**core_nodes.NODES, **NODE_CLASS_MAPPINGS}


def blueprint(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def in_a_graph(name, before, after, changes=()):
    """The page's form of a graph with the blueprint. before: input -> a node's type and widgets. after: output -> the
    same of a node whose first input it is. changes: first widgets of nodes inside, by their types."""
    graph = blueprint(name)
    for kind, value in changes:
        (changed,) = (each for each in graph["definitions"]["subgraphs"][0]["nodes"] if each["type"] == kind)
        changed["widgets_values"][0] = value
    (node,) = graph["nodes"]
    links, nodes = [], [node]

    def add(kind, values, inputs):
        node_id = 1000 + len(nodes)
        outputs = [{"name": each, "type": each, "links": None} for each in CLASSES[kind].RETURN_TYPES]
        placed = {"pos": [0, 0], "size": [200, 100], "flags": {}, "order": 0, "mode": 0, "properties": {}}
        nodes.append({"id": node_id, "type": kind, **placed, "inputs": inputs, "outputs": outputs})
        nodes[-1]["widgets_values"] = values
        return nodes[-1]

    for slot, given in enumerate(node["inputs"]):
        source = add(*before[given["name"]], [])
        links.append([len(links) + 1, source["id"], 0, node["id"], slot, given["type"]])
        source["outputs"][0]["links"] = [len(links)]
        given["link"] = len(links)
    for slot, made in enumerate(node["outputs"]):
        if made["name"] not in after:
            continue
        kind, values = after[made["name"]]
        first = next(iter(CLASSES[kind].INPUT_TYPES()["required"]))
        target = add(kind, values, [{"name": first, "type": made["type"], "link": len(links) + 1}])
        links.append([len(links) + 1, node["id"], slot, target["id"], 0, made["type"]])
        made["links"] = [len(links)]
    return {**graph, "nodes": nodes, "links": links, "last_link_id": len(links), "last_node_id": 1000 + len(nodes)}


@pytest.mark.parametrize("name", BLUEPRINTS)
def test_it_shows_widgets_that_its_nodes_have(name):
    graph = blueprint(name)
    (node,), (inside,) = graph["nodes"], graph["definitions"]["subgraphs"]
    assert node["type"] == inside["id"] and inside["name"] == name and inside["description"]
    nodes = {str(each["id"]): each for each in inside["nodes"]}
    for node_id, widget in node["properties"]["proxyWidgets"]:
        kind = CLASSES[nodes[node_id]["type"]].INPUT_TYPES()
        assert widget in {**kind["required"], **kind.get("optional", {})}


def scene(folder):
    return np.asarray(Image.open(folder / "models/starter/scenes/garden.png").convert("RGB"), dtype=int)


def read(shown):
    (file,) = shown["images"]
    return np.asarray(Image.open(file).convert("RGB"), dtype=int)


@pytest.fixture
def drop(run, tmp_path):
    def call(*arguments):
        (tmp_path / "graph.json").write_text(json.dumps(in_a_graph(*arguments)))
        return run("graph.json")

    return call


GARDEN = {"image": ("TrilemmaExampleScene", ["garden"])}
ROOT = FOLDER.parent


def test_find_and_cut_out_gives_the_cat(drop):
    after = {"objects": ("TrilemmaObjectsToMasks", ["one per image"]), "boxes": ("PreviewAny", [])}
    shown = drop("Find and Cut Out", GARDEN, after)
    (text,) = (each["text"][0] for each in shown.values() if "text" in each and "width" in each["text"][0])
    assert "a cat" in text


def test_remove_object_changes_the_cat_alone(drop):
    """By the starter, which paints something else where LaMa paints ground."""
    starter = [("TrilemmaLoadInpainter", "starter emoji inpainter")]
    shown = drop("Remove Object", GARDEN, {"image": ("SaveImage", ["removed"])}, starter)
    (picture,) = (each for each in shown.values() if "images" in each)
    changed = (read(picture) != scene(ROOT)).any(axis=2)
    rows, columns = changed.nonzero()
    assert changed.any() and columns.max() < 192 < rows.min(), "the cat sits below on the left"


def test_remove_object_names_the_file_that_it_wants(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(standalone, "_places", dict(standalone._places))
    graph = in_a_graph("Remove Object", GARDEN, {"image": ("SaveImage", ["removed"])})
    (tmp_path / "graph.json").write_text(json.dumps(graph))
    assert headless.main([str(tmp_path / "graph.json"), "--models", str(tmp_path), "--output", str(tmp_path)]) != 0
    assert "big-lama.pt is not on this machine. Fetch it from" in capsys.readouterr().err


def test_score_a_folder_scores(drop, tmp_path):
    stream = np.random.default_rng(0)
    for folder in ("output/generated", "input/real"):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(8):
            pixels = stream.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{number}.png")
    shown = drop("Score a Folder", {}, {"report": ("PreviewAny", [])})
    assert "FD" in json.dumps(list(shown.values()))
