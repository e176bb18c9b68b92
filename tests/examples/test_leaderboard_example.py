"""The example of the leaderboard runs headless, with fewer samples than it has: eight models of four families."""

import json
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "example_workflows" / "api" / "leaderboard.json"
SAMPLES = 8


def test_leaderboard_compares_eight_models_and_saves_its_report(run, tmp_path):
    graph = json.loads(FILE.read_text())
    benchmarks = [node for node in graph.values() if node["class_type"] == "TrilemmaBenchmarkGenerator"]
    for node in benchmarks:
        node["inputs"] |= {"num_images": SAMPLES, "num_shown": 1}
    # A tenth of the model's own steps: what it draws does not matter here.
    inputs = {"sampler": "DDIM", "steps": 4, "eta": 0.0, "guidance_scale": 0.0}
    for loader, benchmark in (("9", "10"), ("20", "21")):
        options = {**inputs, "generator": [loader, 0]}
        graph[f"{benchmark}0"] = {"class_type": "TrilemmaDiffusionOptions", "inputs": options}
        graph[benchmark]["inputs"]["generator"] = [f"{benchmark}0", 0]
    (tmp_path / "graph.json").write_text(json.dumps(graph))
    shown = run("graph.json")
    (group,) = json.loads((tmp_path / "output" / "scores" / "leaderboard_00001_.json").read_text())["groups"]
    assert group["setting"]["extractor"] == "starter emoji classifier"
    assert group["setting"]["samples"] == SAMPLES
    ranks = [row["rank"] for row in group["rows"]]
    assert ranks[0] == 1 and ranks == sorted(ranks)  # so few samples tell few models apart
    assert len(benchmarks) == 8
    assert {row["name"] for row in group["rows"]} == {node["inputs"]["name"] for node in benchmarks}
    families = {row["scores"]["provenance"]["generator"]["family"] for row in group["rows"]}
    assert families == {"vae", "autoregressive", "gan", "diffusion"}
    for row in group["rows"]:
        assert any(warning.startswith(f"few samples ({SAMPLES})") for warning in row["warnings"])
        assert row["scores"]["provenance"]["graph"].keys() == graph.keys()
        assert all(0 <= share <= 1 for share in row["trilemma_position"])
    assert any(row["pareto_front"] for row in group["rows"])
    for node in ("12", "13"):
        (path,) = shown[node]["images"]
        assert Image.open(path).width == 1536
