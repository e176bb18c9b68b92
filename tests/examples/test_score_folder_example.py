"""The example that scores a folder runs headless, twice with the same result, and says what its numbers are."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "example_workflows" / "api" / "score_folder.json"


def report(folder: Path, *changes: str) -> str:
    command = [sys.executable, str(ROOT / "headless.py"), str(EXAMPLE), "--output", str(folder), *changes]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["outputs"]["9"]["text"][0]


def values(text: str) -> dict[str, float]:
    lines = [line.strip() for line in text.splitlines() if "is better" in line]
    return {line.split(" (")[0]: float(line.split("): ")[1].split()[0].rstrip(",")) for line in lines}


def test_a_folder_of_pictures_is_scored(tmp_path):
    text = report(tmp_path, "--set", "Sample.num_images=96")
    assert len(list(tmp_path.rglob("*.png"))) == 96
    found = values(text)
    assert 0 < found["FID"] < 30
    assert found["IS"] > 3
    assert 0 < found["precision"] <= 1
    assert "FID (starter emoji classifier)" in text
    assert "warning: the generated set has 96 samples for 128 dimensions" in text
    # The folder is written anew, not added to.
    again = report(tmp_path, "--set", "Sample.num_images=96")
    assert len(list(tmp_path.rglob("*.png"))) == 96
    assert values(again) == pytest.approx(found, rel=1e-9)
