"""The examples of scores run headless, and show what their names promise."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def test_score_edit_finds_the_edit_done_and_the_rest_untouched(tmp_path):
    command = [sys.executable, str(ROOT / "headless.py"), str(ROOT / "example_workflows" / "api" / "score_edit.json")]
    done = subprocess.run([*command, "--output", str(tmp_path)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    outputs = json.loads(done.stdout)["outputs"]
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
