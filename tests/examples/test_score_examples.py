"""The examples of scores run headless, and show what their names promise."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).resolve().parents[2] / "example_workflows" / "api" / "score_edit.json"


def test_score_edit_finds_the_edit_done_and_the_rest_untouched(run):
    outputs = run(EXAMPLE)
    (verdict,) = outputs["19"]["text"]
    assert "a pumpkin is in the hole" in verdict
    assert "a mushroom is gone" in verdict
    assert "nothing has changed outside the mask" in verdict
    assert outputs["15"]["text"][0].endswith("passed")
    before, after, changed = (
        np.asarray(Image.open(outputs[node]["images"][0]), dtype=int) for node in ("16", "17", "18")
    )
    # Black is where the pictures are the same, but for differences too small for 8 bits.
    assert np.abs(before - after)[changed.max(axis=2) <= 4].max() <= 1
    assert (changed.max(axis=2) > 100).mean() > 0.02


def test_with_and_without_grounding_tells_three_holes_apart(run):
    """All are judged by one mask: the whole picture loses the rest and the object, box and mask keep the one and paint
    the other."""
    outputs = run(EXAMPLE.with_name("with_and_without_grounding.json"))
    whole, box, mask = (outputs[node]["text"][0] for node in ("20", "21", "22"))
    assert "a pumpkin is NOT in the hole" in whole and "nothing has changed outside" not in whole
    for verdict in (box, mask):
        assert "a pumpkin is in the hole" in verdict and "a mushroom is gone" in verdict
        assert "nothing has changed outside the mask" in verdict
    (table,) = outputs["23"]["text"]
    assert table.count("whole picture") >= 1 and "edits of 1 images of 384 x 384 px" in table


def test_sharpness_tells_what_autoencoders_lose(run):
    """Both come back softer than they went in; the gate would stop the run were it not so."""
    results = run(EXAMPLE.with_name("sharpness.json"))
    for node in ("8", "9"):
        text = results[node]["text"][0]
        assert text.startswith("the images are softer than the reference")
        lost = float(text.rpartition(": ")[2].rstrip("%"))
        assert 10 < lost < 60
    assert results["10"]["text"][0].endswith("passed")
    assert len(results["12"]["images"]) == 1


def test_known_truth_stands_beside_what_is_estimated(run, tmp_path):
    """Holes and missing modes are told exactly; estimates by pixels see both, and a network of emoji sees no place."""
    shown = run(EXAMPLE.with_name("known_truth.json"))
    board = json.loads((tmp_path / "output" / "scores" / "known_truth_00001_.json").read_text())
    truth, pixels, network = (
        {row["name"]: {score["metric"]: score["value"] for score in row["scores"]["scores"]} for row in group["rows"]}
        for group in board["groups"]
    )
    for name, precision, recall in (
        ("nothing wrong", 1, 1),
        ("30 % have a hole", 0.7, 1),
        ("half of the modes", 1, 0.5),
    ):
        assert (truth[name]["known_precision"], truth[name]["known_recall"]) == pytest.approx((precision, recall))
    assert 0.7 < pixels["30 % have a hole"]["precision"] < pixels["nothing wrong"]["precision"] - 0.04
    assert pixels["30 % have a hole"]["density"] < pixels["nothing wrong"]["density"] - 0.1
    for metric in ("recall", "coverage"):
        assert pixels["nothing wrong"][metric] > 0.9
        assert 0.5 < pixels["half of the modes"][metric] < 0.7 < 0.9 < network["half of the modes"][metric]
    assert sum(node.get("text", [""])[0].endswith("passed") for node in shown.values()) == 1
