"""The example of a paper's table runs headless with fewer samples: bands, the literature below, and the text."""

import json
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.slow

FILE = Path(__file__).resolve().parents[2] / "example_workflows" / "api" / "paper_table.json"
SAMPLES = 16


def test_paper_table_ranks_by_bands_and_writes_its_methods(run, tmp_path):
    graph = json.loads(FILE.read_text())
    numbers = {node["_meta"]["title"]: number for number, node in graph.items()}
    for node in graph.values():
        if node["class_type"] == "TrilemmaBenchmarkGenerator":
            node["inputs"] |= {"num_images": SAMPLES, "num_shown": 1}
    (tmp_path / "graph.json").write_text(json.dumps(graph))
    shown = run("graph.json")
    board = json.loads((tmp_path / "output" / "scores" / "paper_table_00001_.json").read_text())
    (group,) = board["groups"]
    names = {row["name"]: row for row in group["rows"]}
    assert names.keys() == {"VAE (2 seeds)", "VQ-VAE + transformer", "VQ-VAE + PixelCNN", "StyleGAN2"}
    assert len(names["VAE (2 seeds)"]["runs"]) == 2
    assert sorted(name for band in group["bands"] for name in band) == sorted(names)
    assert {each["how"] for each in group["differences"]} == {"paired", "runs"}
    assert all(each["shared_seeds"] == SAMPLES for each in group["differences"] if each["how"] == "paired")
    (table,) = board["published"]["tables"]
    assert [row["values"]["fid"] for row in table["rows"]] == [59.753, 38.912, 20.8]
    (text,) = shown[numbers["Paper Text"]]["text"]
    assert text.startswith("Use for quality ") and "\\cite{hanley2006}" in text and "@inproceedings{heusel2017," in text
    (people,) = shown[numbers["Published Scores: people"]]["text"]
    assert "| ImageNet 256 px | FD-DINOv2 | 0.64 |" in people
    for title in ("Table", "Trilemma", "People and metrics"):
        (path,) = shown[numbers[title]]["images"]
        assert Image.open(path).width == 1536
