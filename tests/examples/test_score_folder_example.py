"""The example that scores a folder runs headless, twice with the same result, and says what its numbers are."""

import json
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).resolve().parents[2] / "example_workflows" / "api" / "score_folder.json"


NOTHING = "not distinguishable from 0"


def values(text: str) -> dict[str, float]:
    """A limit that is not told apart from 0 is written in words, and 0 here."""
    lines = [line.strip() for line in text.splitlines() if "is better" in line]
    told = {line.split(" (")[0]: line.split("): ")[1] for line in lines}
    return {
        name: 0.0 if words.startswith(NOTHING) else float(words.split()[0].rstrip(",")) for name, words in told.items()
    }


def test_a_folder_of_pictures_is_scored(run, tmp_path):
    (text,) = run(EXAMPLE, "--set", "Sample.num_images=96")["9"]["text"]
    assert len(list(tmp_path.rglob("*.png"))) == 96
    found = values(text)
    assert 0 < found["FD"] < 30
    assert found["IS"] > 3
    assert 0 < found["precision"] <= 1
    assert "FD (starter emoji classifier)" in text
    assert "warning: the generated set has 96 samples for 128 dimensions" in text
    # The folder is written anew, not added to.
    (again,) = run(EXAMPLE, "--set", "Sample.num_images=96")["9"]["text"]
    assert len(list(tmp_path.rglob("*.png"))) == 96
    assert values(again) == pytest.approx(found, rel=1e-9)


def test_other_words_in_the_graph_move_no_number(run, tmp_path):
    """Every PNG carries the graph that drew it."""
    texts, graphs = [], set()
    for turn in range(3):
        graph = json.loads(EXAMPLE.read_text(encoding="utf-8"))
        graph["9"]["_meta"]["title"] = f"Scores, look {turn}"
        graph["2"]["_meta"]["title"] = "Every class" + "!" * turn
        (tmp_path / "graph.json").write_text(json.dumps(graph), encoding="utf-8")
        texts += run(tmp_path / "graph.json", "--set", "Sample.num_images=96")["9"]["text"]
        graphs.add(Image.open(next(tmp_path.rglob("sample_00001_.png"))).info["prompt"])
    assert len(graphs) == 3
    assert {"KID", "FD at infinity"} <= values(texts[0]).keys()
    assert values(texts[0]) == values(texts[1]) == values(texts[2])
