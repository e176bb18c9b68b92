"""`headless.py --comfyui`: graphs by ComfyUI's own executor, in one process."""

import json
import os
import signal
import subprocess
import sys

import pytest
from PIL import Image
from trilemma.tests.comfyui.server import PACK, comfyui_python

pytestmark = pytest.mark.host

GRAPH = {
    "1": {
        "class_type": "EmptyImage",
        "inputs": {"width": 8, "height": 4, "batch_size": 2, "color": 255},
        "_meta": {"title": "Blank"},
    },
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "sub/x"}},
    "3": {"class_type": "PreviewAny", "inputs": {"source": "hello"}},
}


@pytest.fixture
def command(comfyui, tmp_path):
    """Starts headless.py with a graph and ComfyUI's Python, from a folder of its own."""

    def start(graph, *arguments):
        (tmp_path / "workflow.json").write_text(json.dumps(graph))
        program = [comfyui_python(comfyui), str(PACK / "headless.py"), "workflow.json", "--comfyui", str(comfyui)]
        program += ["--output", str(tmp_path / "out"), *arguments]
        return subprocess.Popen(program, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    return start


def finish(process):
    out, err = process.communicate(timeout=300)
    assert out.count("\n") == 1, (out, err[-3000:])
    return process.returncode, json.loads(out), err


def test_a_graph_runs_and_its_results_are_told(command, tmp_path):
    code, result, err = finish(command(GRAPH, "--set", "Blank.width=3"))

    assert code == 0, err
    saved = [str(tmp_path / "out" / "sub" / f"x_0000{number}_.png") for number in (1, 2)]
    assert result["outputs"]["2"] == {"title": "SaveImage", "images": saved}
    assert result["outputs"]["3"] == {"title": "PreviewAny", "text": ["hello"]}
    picture = Image.open(saved[0])
    assert picture.size == (3, 4)
    assert json.loads(picture.text["prompt"])["1"]["inputs"]["width"] == 3
    assert "\nBlank\n" in err


def test_a_score_that_misses_its_threshold_exits_with_3(command):
    scene = {"class_type": "TrilemmaExampleScene", "inputs": {"scene": "garden"}}
    compare = {"reference": ["1", 0], "image": ["2", 0], "lpips": "none", "gain": 4.0}
    gate = {"name": "nightly", "metric": "psnr", "comparison": "at least", "threshold": 60.0, "scores": ["3", 5]}
    graph = {
        "1": scene,
        "2": {**scene, "inputs": {"scene": "night"}},
        "3": {"class_type": "TrilemmaCompareImages", "inputs": compare},
        "4": {"class_type": "TrilemmaScoreGate", "inputs": gate, "_meta": {"title": "The gate"}},
    }

    code, result, err = finish(command(graph))

    assert code == 3, err
    assert result["error"]["title"] == "The gate"
    assert result["error"]["message"].startswith("nightly: psnr of compared images is ")


def test_an_invalid_graph_exits_with_2_and_names_node_and_input(command):
    code, result, _ = finish(command(GRAPH, "--set", "Blank.width=0"))

    assert code == 2
    (problem,) = result["error"]["problems"]
    assert (problem["node_id"], problem["title"], problem["input"]) == ("1", "Blank", "width")


def test_a_failing_node_exits_with_1_and_is_named(command):
    graph = {**GRAPH, "4": {"class_type": "ImageToMask", "inputs": {"image": ["1", 0], "channel": "alpha"}}}
    graph["5"] = {"class_type": "PreviewAny", "inputs": {"source": ["4", 0]}}

    code, result, err = finish(command(graph))

    assert code == 1, err
    assert result["error"]["node_id"] == "4"
    assert result["error"]["class_type"] == "ImageToMask"
    assert "IndexError" in err


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_stops_the_graph(command):
    graph = {"0": GRAPH["1"]}
    for number in range(1, 3000):
        inputs = {"images": ["0", 0], "filename_prefix": f"{number}/x"}
        graph[str(number)] = {"class_type": "SaveImage", "inputs": inputs, "_meta": {"title": f"Save {number}"}}
    process = command(graph)
    seen = []
    for line in process.stderr:
        seen.append(line)
        if line.startswith("Save "):
            break
    os.kill(process.pid, signal.SIGINT)
    code, result, err = finish(process)

    assert code == 130, (seen[-20:], err)
    assert result["error"]["message"] == "Stopped by the user."
