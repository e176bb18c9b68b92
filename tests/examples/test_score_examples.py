"""The examples of scores run headless, and show what their names promise."""

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
