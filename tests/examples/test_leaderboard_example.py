"""The example of the leaderboard runs headless, with fewer samples than it has, and compares four families."""

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "example_workflows" / "api" / "leaderboard.json"
SAMPLES = 8


def test_leaderboard_compares_four_families_and_saves_its_report(tmp_path):
    graph = json.loads(FILE.read_text())
    benchmarks = [node for node in graph.values() if node["class_type"] == "TrilemmaBenchmarkGenerator"]
    for node in benchmarks:
        node["inputs"]["num_images"] = SAMPLES
    (tmp_path / "graph.json").write_text(json.dumps(graph))
    command = [sys.executable, str(ROOT / "headless.py"), "graph.json", "--output", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (group,) = json.loads((tmp_path / "out" / "scores" / "leaderboard_00001_.json").read_text())["groups"]
    assert group["setting"]["extractor"] == "starter emoji classifier"
    assert group["setting"]["samples"] == SAMPLES
    assert [row["rank"] for row in group["rows"]] == [1, 2, 3, 4]
    assert {row["name"] for row in group["rows"]} == {node["inputs"]["name"] for node in benchmarks}
    families = {row["scores"]["provenance"]["generator"]["family"] for row in group["rows"]}
    assert families == {"vae", "autoregressive", "gan", "diffusion"}
    for row in group["rows"]:
        assert any(warning.startswith(f"few samples ({SAMPLES})") for warning in row["warnings"])
        assert row["scores"]["provenance"]["graph"].keys() == graph.keys()
        assert all(0 <= share <= 1 for share in row["trilemma_position"])
    assert any(row["pareto_front"] for row in group["rows"])
    for node in ("12", "13"):
        (path,) = json.loads(done.stdout)["outputs"][node]["images"]
        assert Image.open(path).width == 1536
