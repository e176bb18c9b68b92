"""The command line: workflows of both kinds, settings, results and exit codes."""

import builtins
import codecs
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from trilemma import headless
from trilemma.host import standalone

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def places(monkeypatch):
    monkeypatch.setattr(standalone, "_places", dict(standalone._places))


@pytest.fixture
def command(tmp_path, capsys):
    """Runs a workflow (graph or text of the file); exit code, JSON of stdout, text of stderr."""

    def run(workflow, *arguments):
        file = tmp_path / "workflow.json"
        file.write_text(workflow if isinstance(workflow, str) else json.dumps(workflow))
        code = headless.main([str(file), "--output", str(tmp_path / "out"), *arguments])
        captured = capsys.readouterr()
        return code, json.loads(captured.out), captured.err

    return run


def node(class_type, title=None, **inputs):
    entry = {"class_type": class_type, "inputs": inputs}
    return entry if title is None else {**entry, "_meta": {"title": title}}


GRAPH = {
    "1": node("EmptyImage", "Blank", width=8, height=4, batch_size=1, color=255),
    "2": node("SaveImage", "Save", images=["1", 0], filename_prefix="x"),
    "3": node("PreviewImage", "Look", images=["1", 0]),
    "4": node("PreviewAny", "Text", source="hello"),
}
PAGE = {
    "version": 0.4,
    "last_node_id": 2,
    "last_link_id": 1,
    "nodes": [
        {
            "id": 1,
            "type": "EmptyImage",
            "title": "Blank",
            "mode": 0,
            "inputs": [],
            "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [1]}],
            "widgets_values": [8, 4, 1, 255],
        },
        {
            "id": 2,
            "type": "SaveImage",
            "mode": 0,
            "inputs": [{"name": "images", "type": "IMAGE", "link": 1}],
            "outputs": [{"name": "images", "type": "IMAGE", "links": None}],
            "widgets_values": ["x"],
        },
    ],
    "links": [[1, 1, 0, 2, 0, "IMAGE"]],
}


def test_a_graph_runs_and_its_results_are_told(command, tmp_path):
    code, result, err = command(GRAPH)

    assert code == 0
    saved = tmp_path / "out" / "x_00001_.png"
    preview = tmp_path / "out" / "temp" / "preview_3_00001_.png"
    assert result["outputs"] == {
        "2": {"title": "Save", "images": [str(saved)]},
        "3": {"title": "Look", "images": [str(preview)]},
        "4": {"title": "Text", "text": ["hello"]},
    }
    assert result["seconds"] >= 0
    assert Image.open(saved).size == Image.open(preview).size == (8, 4)
    assert err.split("\n")[:2] == ["Blank", "Save"]


def test_a_reader_that_has_seen_enough_is_no_failure(tmp_path, monkeypatch):
    """As `headless.py ... | head` closes the pipe: the exit code stays that of the run, and Python says nothing."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert headless.main(["convert", str(tmp_path / "missing.pt")]) == 2


def test_pictures_come_from_the_input_folder(command, tmp_path):
    (tmp_path / "in").mkdir()
    Image.new("RGB", (5, 6)).save(tmp_path / "in" / "a.png")
    graph = {"1": node("LoadImage", image="a.png"), "2": node("SaveImage", images=["1", 0], filename_prefix="x")}

    code, result, _ = command(graph, "--input", str(tmp_path / "in"))

    assert code == 0
    assert Image.open(result["outputs"]["2"]["images"][0]).size == (5, 6)


def test_the_pages_own_format_runs_too_and_travels_in_the_picture(command):
    pytest.importorskip("comfy_cli.workflow_to_api", reason="comfy-cli converts the page's format")

    code, result, _ = command(PAGE)

    assert code == 0
    picture = Image.open(result["outputs"]["2"]["images"][0])
    assert picture.size == (8, 4)
    assert json.loads(picture.text["workflow"]) == PAGE
    assert json.loads(picture.text["prompt"])["1"]["inputs"] == {"width": 8, "height": 4, "batch_size": 1, "color": 255}


def test_a_byte_order_mark_is_read_over(tmp_path, capsys):
    (tmp_path / "w.json").write_bytes(codecs.BOM_UTF8 + json.dumps(GRAPH).encode())

    assert headless.main([str(tmp_path / "w.json"), "--output", str(tmp_path / "out")]) == 0
    assert json.loads(capsys.readouterr().out)["outputs"]["4"]["text"] == ["hello"]


@pytest.mark.parametrize(
    ("mark", "encoding", "said"),
    [
        (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
        (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
        (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
        (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    ],
)
def test_other_encodings_are_named(tmp_path, capsys, mark, encoding, said):
    (tmp_path / "w.json").write_bytes(mark + json.dumps(GRAPH).encode(encoding))

    assert headless.main([str(tmp_path / "w.json")]) == 2
    assert f"is written in {said}" in json.loads(capsys.readouterr().out)["error"]["message"]


PAIR = [3, "an id", GRAPH, {"client_id": "x", "extra_pnginfo": {"workflow": PAGE}}, ["2"]]


@pytest.mark.parametrize(
    "saved",
    [
        {"prompt": GRAPH},
        {"prompt": GRAPH, "client_id": "x", "extra_data": {"extra_pnginfo": {"workflow": PAGE}}},
        {"prompt": PAIR, "outputs": {}, "status": {"status_str": "success"}},
        {"an id": {"prompt": PAIR, "outputs": {}, "status": {}, "meta": {}}},
        PAIR,
        {"id": "an id", "workflow": {"prompt": GRAPH, "extra_data": {}}, "outputs": {}},
    ],
    ids=["posted", "posted with the page's form", "entry", "history", "queue", "job"],
)
def test_what_comfyui_takes_and_keeps_runs(command, saved):
    code, result, _ = command(saved)

    assert code == 0
    assert result["outputs"]["4"]["text"] == ["hello"]


def test_the_pages_form_of_what_was_posted_travels_in_the_picture(command):
    _, result, _ = command({"prompt": PAIR, "outputs": {}})

    assert json.loads(Image.open(result["outputs"]["2"]["images"][0]).text["workflow"]) == PAGE


def test_of_several_runs_one_is_asked_for(command):
    code, result, _ = command({"a": {"prompt": PAIR}, "b": {"prompt": PAIR}})

    assert code == 2
    assert "holds 2 runs of the history; keep one: a, b." in result["error"]["message"]


def test_a_saved_picture_runs_again(command, tmp_path, capsys):
    _, first, _ = command({"prompt": PAIR})
    picture = first["outputs"]["2"]["images"][0]

    assert headless.main([picture, "--output", str(tmp_path / "again")]) == 0

    (again,) = json.loads(capsys.readouterr().out)["outputs"]["2"]["images"]
    assert Image.open(again).text == Image.open(picture).text


def test_a_picture_without_a_workflow_says_so(tmp_path, capsys):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")

    assert headless.main([str(tmp_path / "a.png")]) == 2
    assert "is a picture without a workflow" in json.loads(capsys.readouterr().out)["error"]["message"]


@pytest.mark.parametrize("number", ["1e400", "-1e400", "Infinity", "-Infinity", "NaN"])
@pytest.mark.parametrize("way", ["set", "file"])
def test_numbers_without_end_are_refused(command, number, way):
    graph = {"1": node("SolidMask", "Mask", value=0.5, width=8, height=8), "2": node("MaskToImage", mask=["1", 0])}
    graph["3"] = node("PreviewImage", images=["2", 0])
    for name in ("value", "width"):
        text = json.dumps(graph)
        if way == "file":
            text = re.sub(rf'"{name}": [\d.]+', f'"{name}": {number}', text)
        code, result, _ = command(text, *(("--set", f"Mask.{name}={number}") if way == "set" else ()))

        assert code == 2
        assert "Mask (#1, SolidMask)" in result["error"]["message"]
        assert "number" in result["error"]["message"] or "not of type INT" in result["error"]["message"]


def test_after_settings_the_picture_carries_only_what_ran(command):
    pytest.importorskip("comfy_cli.workflow_to_api", reason="comfy-cli converts the page's format")

    code, result, _ = command(PAGE, "--set", "Blank.width=3")

    assert code == 0
    picture = Image.open(result["outputs"]["2"]["images"][0])
    assert picture.size == (3, 4)
    assert set(picture.text) == {"prompt"}


def test_without_the_converter_the_pages_format_is_refused_with_the_remedy(command, monkeypatch):
    real = builtins.__import__

    def without_comfy_cli(name, *args, **kwargs):
        if name.startswith("comfy_cli"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_comfy_cli)
    code, result, _ = command(PAGE)

    assert code == 2
    assert "pip install comfy-cli" in result["error"]["message"]


def test_settings_by_title_and_by_id(command):
    code, result, _ = command(GRAPH, "--set", "Blank.width=3", "--set", "#1.height=2", "--set", "Text.source=a = b.c")

    assert code == 0
    assert Image.open(result["outputs"]["2"]["images"][0]).size == (3, 2)
    assert result["outputs"]["4"]["text"] == ["a = b.c"]


@pytest.mark.parametrize(
    ("setting", "shown"),
    [
        ("Text.source=12", "12"),
        ('Text.source="12"', "12"),
        ('Text.source=[1, "a"]', '[\n    1,\n    "a"\n]'),
        ("Text.source=null", "null"),
        ("Text.source={not json", "{not json"),
    ],
)
def test_setting_values_are_json_where_they_can_be(command, setting, shown):
    code, result, _ = command(GRAPH, "--set", setting)

    assert code == 0
    assert result["outputs"]["4"]["text"] == [shown]


def test_a_text_input_takes_the_text_as_it_stands(command, tmp_path):
    code, result, _ = command(GRAPH, "--set", "Save.filename_prefix=1e5")

    assert code == 0
    assert result["outputs"]["2"]["images"] == [str(tmp_path / "out" / "1e5_00001_.png")]


TWINS = {**GRAPH, "5": node("EmptyImage", "Blank", width=8, height=4, batch_size=1, color=255)}


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("Blank.width=1", "The title 'Blank' is ambiguous: say #1 or #5."),
        (
            "Nothing.width=1",
            "No node has the title 'Nothing'; the titles are 'Blank', 'Save', 'Look', 'Text', 'Blank'.",
        ),
        ("#9.width=1", "There is no node #9; the nodes are #1, #2, #3, #4, #5."),
        ("#1.depth=1", "#1 has no input 'depth'; its inputs are batch_size, color, height, width."),
        ("Save.images=1", "images is wired to node 1 and takes no value."),
        ("width=1", "write 'Node title.input=value' or '#id.input=value'."),
        ("Blank.width", "write 'Node title.input=value' or '#id.input=value'."),
    ],
)
def test_settings_that_fit_nothing_are_refused(command, setting, said):
    code, result, err = command(TWINS, "--set", setting)

    assert code == 2
    assert said in result["error"]["message"]
    assert said in err


@pytest.mark.parametrize(
    ("workflow", "said"),
    [
        ('{"1": {', "is not a JSON file"),
        ("[]", "holds no nodes in API format"),
        ("[" * 100_000, "lie too deep in each other"),
        ('{"a":' * 100_000, "lie too deep in each other"),
        (json.dumps({"1": {**node("PreviewImage", images="text"), "_meta": None}}), "takes IMAGE from a node"),
        (json.dumps({"1": {**node("SavImage"), "_meta": {"title": 5}}}), "did you mean 'SaveImage'?"),
        ('{"1": {"inputs": {}}}', "Entry '1' of the workflow is not a node"),
        ('{"nodes": []}', "cannot be converted to API format"),
        (
            '{"nodes": [{"id": 7, "type": "SaveImage", "properties": 1}], "links": []}',
            "convert node id=7 type=SaveImage",
        ),
        (
            '{"nodes": [{"id": 7, "type": "SaveImage", "inputs": 1}], "links": []}',
            "node 'SaveImage' #7 has inputs that",
        ),
        ('{"nodes": [{"id": 7, "type": {"a": 1}}], "links": []}', "is damaged: node #7 has no type"),
        ('{"nodes": [7], "links": []}', "is damaged: node 1 is no object"),
        (
            '{"nodes": [{"id": 7, "type": "X", "title": "T", "inputs": [1]}], "links": []}',
            "node 'T' #7 has inputs that",
        ),
        (
            '{"nodes": [], "links": [], "definitions": {"subgraphs": [{"nodes": [{"type": 5, "title": "In"}]}]}}',
            "is damaged: node 'In' 1 has no type",
        ),
        (json.dumps({"1": node("SavImage")}), "did you mean 'SaveImage'?"),
        (json.dumps({"1": node("KSampler")}), "run the graph with --comfyui PATH"),
        (json.dumps({"1": node("SaveImage", "S", filename_prefix="x")}), "S (#1, SaveImage), input 'images': required"),
        (json.dumps({"1": node("SaveImage", "S", images=["1", 0], filename_prefix="")}), "runs in a circle: S -> S."),
    ],
)
def test_invalid_workflows_exit_with_2(command, workflow, said):
    code, result, err = command(workflow)

    assert code == 2
    assert said in result["error"]["message"]
    assert said in err


def test_a_missing_workflow_file_exits_with_2(tmp_path, capsys):
    assert headless.main([str(tmp_path / "none.json")]) == 2
    assert "Cannot read the workflow" in capsys.readouterr().out


def test_a_wrong_path_to_comfyui_exits_with_2(tmp_path, capsys):
    assert headless.main(["workflow.json", "--comfyui", str(tmp_path)]) == 2
    assert "there is no ComfyUI checkout" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_a_failing_node_exits_with_1_and_is_named(command):
    graph = {
        **GRAPH,
        "5": node("ImageToMask", "Alpha", image=["1", 0], channel="alpha"),
        "6": node("PreviewAny", source=["5", 0]),
    }

    code, result, err = command(graph)

    assert code == 1
    error = result["error"]
    assert (error["node_id"], error["title"], error["class_type"]) == ("5", "Alpha", "ImageToMask")
    assert error["inputs"] == {"channel": "'alpha'", "image": "Tensor[1, 4, 8, 3]"}
    assert err.rstrip().endswith(
        "Alpha (#5, ImageToMask): channel 'alpha' of an image with 3 channels; choose one it has."
    )


def test_what_nodes_print_does_not_mix_with_the_result(command, monkeypatch):
    class Chatty:
        @classmethod
        def INPUT_TYPES(cls):
            return {"required": {}}

        RETURN_TYPES = ()
        FUNCTION = "run"
        OUTPUT_NODE = True

        def run(self):
            print("chatter")
            return {}

    monkeypatch.setitem(sys.modules["trilemma"].NODE_CLASS_MAPPINGS, "Chatty", Chatty)
    code, result, err = command({"1": node("Chatty")})

    assert (code, result["outputs"]) == (0, {})
    assert "chatter" in err


@pytest.mark.slow
def test_as_a_program_it_runs_from_any_folder_and_stops_on_ctrl_c(tmp_path):
    """The graph has more work than anybody would wait for; the signal arrives while it runs."""
    graph = {"0": node("EmptyImage", "First", width=8, height=8, batch_size=1, color=0)}
    for number in range(1, 3000):
        graph[str(number)] = node("SaveImage", f"Save {number}", images=["0", 0], filename_prefix=f"{number}/x")
    (tmp_path / "workflow.json").write_text(json.dumps(graph))
    program = [sys.executable, str(ROOT / "headless.py"), "workflow.json"]
    process = subprocess.Popen(
        program, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ)
    )
    for line in process.stderr:
        if line.startswith("Save 3"):
            break
    stopped = time.perf_counter()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert time.perf_counter() - stopped < 20
    assert json.loads(out)["error"]["message"] == "Stopped by the user."
    assert "Traceback" not in err
    assert (tmp_path / "output" / "1" / "x_00001_.png").is_file()
    assert not (tmp_path / "output" / "2999").exists()
