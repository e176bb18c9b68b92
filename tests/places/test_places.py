"""No name that a graph holds leads out: every text and every list of every node, in a process that is watched."""

import json
import os
import subprocess
import sys

import pytest
from trilemma import headless
from trilemma.host import standalone
from trilemma.tests.graphs.node_graphs import CLASSES
from trilemma.tests.graphs.running import CLEAR
from trilemma.tests.places.sandbox import PLACES, inputs_of

pytestmark = pytest.mark.slow


def run_sandbox(folder, *arguments):
    command = [sys.executable, "-m", "trilemma.tests.places.sandbox", str(folder), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=7200, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def judge(runs):
    assert [told(run, "touched") for run in runs if run["touched"]] == []
    assert [told(run, "text", "trace") for run in runs if run["kind"] not in CLEAR] == []
    names = [run for run in runs if run["leads_out"] and (run["listed"] or run["input"] in PLACES)]
    assert [told(run, "text") for run in names if run["kind"] not in ("refused", "failed")] == []
    return names


def told(run, *more):
    return [run[key] for key in ("node", "input", "name", "kind", *more)]


def test_no_input_leads_out(tmp_path, request):
    """Two names for each input; with --every-name, as `make test-graphs` asks, all of where a place is named."""
    every = request.config.getoption("every_name", default=False)
    runs = judge(run_sandbox(tmp_path / "world", "--names", "0" if every else "2"))
    assert {run["input"] for run in runs} >= set(PLACES)


def test_every_name_is_refused_where_it_matters(tmp_path):
    nodes = [name for name in CLASSES if any(key in PLACES for key, _ in inputs_of(name))]
    judge(run_sandbox(tmp_path / "world", "--nodes", *(name for name in nodes if "Benchmark" not in name)))


WATCHED = """
import sys
from pathlib import Path
from trilemma.tests.places.sandbox import Watch, readable
own = Path(sys.argv[1])
watch = Watch([own], readable())
watch.on = True
for deed in (
    lambda: open(own / "fine", "w").close(),
    lambda: open(own / "link" / "secret"),
    lambda: open("/etc/hostname"),
    lambda: (own / ".." / "made").mkdir(),
    lambda: (own / "fine").rename(own.parent / "moved"),
    lambda: __import__("os").listdir(own / ".."),
):
    try:
        deed()
    except OSError:
        pass
watch.on = False
print(*watch.touched, sep="\\n")
"""


def test_the_watch_hears_what_it_is_for(tmp_path):
    own, outside = tmp_path / "own", tmp_path / "outside"
    own.mkdir()
    outside.mkdir()
    (outside / "secret").touch()
    (own / "link").symlink_to(outside)
    done = subprocess.run([sys.executable, "-c", WATCHED, str(own)], capture_output=True, text=True, timeout=300)
    heard = [f"read {outside / 'secret'}", "read /etc/hostname", f"write {tmp_path / 'made'}"]
    assert done.stdout.splitlines() == [*heard, f"write {tmp_path / 'moved'}", f"read {tmp_path}"], done.stderr


@pytest.mark.parametrize(
    "name", ["../none.json", "/dev/zero", "/dev/full", "/proc/self/mem", ".", "x" * 300, "a\0b", "\ud800", "con"]
)
def test_workflows_that_are_no_files_are_refused(name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert headless.main([name]) == headless.INVALID
    assert json.loads(capsys.readouterr().out)["error"]["message"]


@pytest.mark.parametrize("name", ["../none.pth", "/dev/zero", ".", "x" * 300, "a\0b", "\ud800", "/proc/self/mem"])
def test_checkpoints_that_are_no_files_are_refused(name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert headless.main(["convert", name]) in (headless.INVALID, headless.NODE_FAILED)
    assert len(json.loads(capsys.readouterr().out)["error"]["message"].split()) > 4
    assert not list(tmp_path.iterdir())


EMPTY = {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}}
SAVED = {"1": EMPTY, "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}}


@pytest.fixture
def queue(tmp_path, monkeypatch, capsys):
    """Runs a graph in a folder of the test's own, by the command line: exit code, and the error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(standalone, "_places", dict(standalone._places))

    def call(graph, *arguments):
        (tmp_path / "graph.json").write_text(json.dumps(graph))
        code = headless.main(["graph.json", *arguments])
        return code, json.loads(capsys.readouterr().out)["error"]["message"]

    return call


@pytest.mark.parametrize(
    ("option", "name", "input"), [("--input", "LoadImage", "image"), ("--models", "TrilemmaLoadLoRA", "lora")]
)
def test_a_folder_that_is_a_file_holds_nothing(option, name, input, queue, tmp_path):
    (tmp_path / "file").write_text("kept")
    graph = {"1": {"class_type": name, "inputs": {input: "x.png", "strength": 1.0}}}
    graph["2"] = {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}}
    code, said = queue(graph, option, "file")
    assert code == headless.INVALID and f"input '{input}'" in said
    assert (tmp_path / "file").read_text() == "kept"


def test_a_folder_to_write_into_that_is_a_file_is_told(queue, tmp_path):
    (tmp_path / "file").write_text("kept")
    code, said = queue(SAVED, "--output", "file")
    assert code == headless.NODE_FAILED and "file" in said and len(said.split()) > 6
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a\0b", "x" * 300, "link/x", "\ud800", "NUL.png"])
def test_settings_lead_nowhere_either(name, queue, tmp_path):
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "link").symlink_to(tmp_path)
    code, said = queue(SAVED, "--output", "output", "--set", f"#2.filename_prefix={name}")
    assert code == headless.NODE_FAILED and said.startswith("filename_prefix: ")
    assert {path.name for path in tmp_path.iterdir()} == {"output", "graph.json"}
    assert {path.name for path in (tmp_path / "output").iterdir()} == {"link"}
