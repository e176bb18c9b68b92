"""The example workflows in a live ComfyUI server: they run, run again after /free, stop, and match a headless run."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from trilemma import headless
from trilemma.host import standalone
from trilemma.tests.comfyui.server import PACK, Refused
from trilemma.tests.examples import host_nodes

pytestmark = pytest.mark.host

SAVERS = ("SaveImage", "PreviewImage", "TrilemmaSaveSamples")
EXAMPLES = sorted((PACK / "example_workflows" / "api").glob("*.json"))
WITH_A_CHECKPOINT = [path for path in EXAMPLES if "CheckpointLoaderSimple" in path.read_text()]
"""They want a published file of the host's, and are held against what the host says of its nodes."""
OF_PHOTOGRAPHS = [path for path in EXAMPLES if "photographs/real" in path.read_text()]
"""They want folders of the user's and the extra `photo`: tests/examples/test_score_photographs_example.py."""
OF_PUBLISHED_FILES = [
    path for path in EXAMPLES if path.stem in ("text_to_image_gans", "vqgan_clip", "grounded_inpaint_photo", "trilemma")
]
"""They want published models: tests/examples/test_text_to_image_example.py."""
APART = (*WITH_A_CHECKPOINT, *OF_PHOTOGRAPHS, *OF_PUBLISHED_FILES)


@pytest.fixture(params=[path for path in EXAMPLES if path not in APART], ids=lambda path: path.stem)
def example(request):
    return request.param


def graph_of(path):
    """The example, with few samples where it benchmarks: what they show is no business of these tests."""
    graph = json.loads(path.read_text())
    for entry in benchmarks(graph):
        entry["inputs"]["num_images"] = 8
        if entry["class_type"] == "TrilemmaLiteratureTable":
            entry["inputs"]["systems"] = "starter emoji vae\nstarter emoji stylegan2"
    return graph


def benchmarks(graph):
    kinds = ("TrilemmaBenchmarkGenerator", "TrilemmaLiteratureTable")
    return [entry for entry in graph.values() if entry["class_type"] in kinds]


def inpainting(graph):
    return [entry for entry in graph.values() if entry["class_type"] == "TrilemmaInpaintByText"]


def pictures(live, run):
    """Node id -> pixels of each picture that the node has shown."""
    shown = {node_id: ui["images"] for node_id, ui in run.outputs.items() if "images" in ui}
    return {
        node_id: [np.asarray(Image.open(io.BytesIO(live.view(image)))) for image in images]
        for node_id, images in shown.items()
    }


def same(first, second):
    """But for one step of 8 bits, by which what a network computed may be rounded otherwise."""
    return first.keys() == second.keys() and all(
        a.shape == b.shape and np.abs(a.astype(int) - b).max() <= 1
        for node_id in first
        for a, b in zip(first[node_id], second[node_id], strict=True)
    )


def sources(graph, node_id):
    """All nodes that a node depends on."""
    links = [value[0] for value in graph[node_id]["inputs"].values() if isinstance(value, list)]
    return {*links, *(found for link in links for found in sources(graph, link))}


@pytest.mark.parametrize("path", WITH_A_CHECKPOINT, ids=lambda path: path.stem)
def test_all_but_the_checkpoint_is_there(live, path):
    """The server checks every node, link and value before it runs a graph."""
    graph = json.loads(path.read_text())
    (checkpoint,) = (node_id for node_id, node in graph.items() if node["class_type"] == "CheckpointLoaderSimple")
    for node_id in [node_id for node_id, node in graph.items() if node["class_type"] in SAVERS]:
        if checkpoint not in sources(graph, node_id):
            del graph[node_id]  # it would run
    with pytest.raises(Refused) as refused:
        live.post("/prompt", {"prompt": graph})
    (errors,) = refused.value.answer["node_errors"].values()
    assert errors["class_type"] == "CheckpointLoaderSimple"
    assert [error["type"] for error in errors["errors"]] == ["value_not_in_list"]


def test_the_hosts_nodes_are_as_the_tests_without_it_know_them(live):
    """But for how many names the longest lists hold, and for what is shown beside an input."""
    for name, known in host_nodes.OBJECT_INFO.items():
        info = live.get(f"/object_info/{name}")[name]
        assert (info["output"], info["display_name"]) == (known["output"], known["display_name"])
        for category, inputs in known["input"].items():
            assert info["input"][category].keys() == inputs.keys()
            for key, (kind, *_) in inputs.items():
                found = info["input"][category][key][0]
                if key == "ckpt_name":
                    assert isinstance(found, list)
                else:
                    assert set(kind) <= set(found) if isinstance(kind, list) else found == kind


def test_it_runs_shows_previews_and_runs_again_after_its_models_were_freed(live, example):
    graph = graph_of(example)

    run = live.run(graph)

    assert "execution_success" in run.kinds
    shown = pictures(live, run)
    savers = {node_id for node_id, entry in graph.items() if entry["class_type"] in SAVERS}
    assert set(shown) == savers and all(shown.values())
    if inpainting(graph):
        assert len(run.previews) >= 3
        assert len(set(run.previews)) == len(run.previews)

    live.free()
    again = live.run(graph)
    assert not again.data("execution_cached")[0]["nodes"]
    repeated = pictures(live, again)
    assert set(repeated) == savers
    # Seconds that are measured differ from run to run.
    assert benchmarks(graph) or same(repeated, shown)


def test_cancel_stops_the_inpainter_within_one_step(live, example):
    graph = graph_of(example)
    if not inpainting(graph):
        pytest.skip("repaints nothing")
    for entry in inpainting(graph):
        entry["inputs"]["steps"] = 200

    run = live.run(graph, interrupt_at=20)

    assert "execution_interrupted" in run.kinds and "execution_success" not in run.kinds
    # Of steps that last milliseconds a few go by until the cancel has arrived.
    assert max(data["value"] for data in run.data("progress")) <= run.cancelled_at + 3


def test_it_gives_the_same_pictures_headless(live, example, tmp_path, monkeypatch, capsys):
    graph = graph_of(example)
    if benchmarks(graph):
        pytest.skip("shows how long it took")
    in_comfyui = pictures(live, live.run(graph))

    monkeypatch.setattr(standalone, "_places", dict(standalone._places))
    assert headless.main([str(example), "--output", str(tmp_path)]) == 0
    outputs = json.loads(capsys.readouterr().out)["outputs"]

    for node_id, expected in in_comfyui.items():
        for picture, path in zip(expected, outputs[node_id]["images"], strict=True):
            assert np.abs(np.asarray(Image.open(path), dtype=int) - picture).max() <= 1, outputs[node_id]["title"]
