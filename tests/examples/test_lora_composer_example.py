"""Two LoRAs, each in its region: the detector, which knows neither LoRA, finds both objects where they shall be."""

import json
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "example_workflows" / "api" / "lora_composer.json"


@pytest.mark.slow
def test_each_region_shows_its_own_object(run):
    outputs = run(EXAMPLE)
    (found,) = (node["text"][0] for node in outputs.values() if node["title"] == "Is it a penguin, is it a rocket")
    assert found.startswith("2 boxes in 1 image")
    assert "a penguin" in found and "a rocket" in found
    graph = json.loads(EXAMPLE.read_text())
    (composed,) = (node["inputs"] for node in graph.values() if node["class_type"] == "TrilemmaComposeLoRAs")
    second = graph[composed["regions"][0]]["inputs"]
    assert second["regions"] and second["mask"] != graph[second["regions"][0]]["inputs"]["mask"]
