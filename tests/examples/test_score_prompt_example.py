"""The example of verified prompts runs headless with fewer prompts: verdicts, bands, and the published rows below."""

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

FILE = Path(__file__).resolve().parents[2] / "example_workflows" / "api" / "score_prompt.json"


def test_score_prompt_says_what_a_generator_of_single_objects_cannot(run, tmp_path):
    graph = json.loads(FILE.read_text())
    numbers = {node["_meta"]["title"]: number for number, node in graph.items()}
    graph[numbers["Prompt Set: emoji"]]["inputs"]["kinds"] = "counting, colors"
    graph[numbers["8 steps"]]["inputs"]["steps"] = 4
    (tmp_path / "graph.json").write_text(json.dumps(graph))
    shown = run("graph.json")
    (verdicts,) = shown[numbers["Score Prompt: 8 steps"]]["text"]
    assert "counting: 0.0% of 6 pictures" in verdicts
    assert "'a red heart': right" in verdicts
    assert "'a blue pumpkin': WRONG: expected 1 " in verdicts
    (known,) = shown[numbers["Verdicts"]]["text"]
    assert known.count(": right") == 6 == known.count(": WRONG: ")
    assert shown[numbers["Score Gate"]]["text"][0].endswith("passed")
    board = json.loads((tmp_path / "output" / "scores" / "score_prompt_00001_.json").read_text())
    (group,) = board["groups"]
    assert {row["name"] for row in group["rows"]} == {"latent diffusion, 8 steps", "latent diffusion, 2 steps"}
    assert group["setting"]["of"] == "verified prompts"
    (table,) = board["published"]["tables"]
    assert len(table["rows"]) == 6
