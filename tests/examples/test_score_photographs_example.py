"""The example that scores the user's photographs: what it shows, and says where they or the package are missing.

Where the package is not installed, the same graph runs by the pack's own network.
"""

from pathlib import Path

import matplotlib
import pytest
from PIL import Image
from trilemma import headless
from trilemma.host import standalone
from trilemma.models.scoring.extractors.photo_package import NAME, PACKAGE, installed_file

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).resolve().parents[2] / "example_workflows" / "api" / "score_photographs.json"
INSTALLED = installed_file() is not None
COUNT = 12


@pytest.fixture
def photographs(tmp_path):
    """Parts of one photograph, in two folders of JPEG files; their sizes differ."""
    whole = Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg").convert("RGB")
    for kind, top in (("real", 0), ("generated", 60)):
        folder = tmp_path / "input" / "photographs" / kind
        folder.mkdir(parents=True)
        for i in range(COUNT):
            left, size = 20 * i, 200 + 8 * i
            whole.crop((left, top, left + size, top + size)).save(folder / f"{i:02}.jpg", quality=90)
    return tmp_path / "input"


@pytest.mark.parametrize(
    "network",
    [
        pytest.param(NAME, marks=pytest.mark.skipif(not INSTALLED, reason=f"{PACKAGE} is not installed")),
        "starter emoji classifier",
    ],
)
def test_two_folders_are_scored_and_shown(run, photographs, network):
    setting = f"A network of photographs.model={network}"
    shown = run(EXAMPLE, "--input", str(photographs), "--set", setting)
    text = shown["4"]["text"][0]
    assert f"reference: real photographs, {COUNT} samples" in text
    assert f"FD ({network})" in text and "FID" not in text
    for score in ("KID", "MIND", "IS", "precision", "recall", "density", "coverage", "Vendi score", "RKE"):
        assert f"{score} ({network})" in text
    (grid,) = shown["9"]["images"]
    assert Image.open(grid).width > 8 * 224


@pytest.fixture
def fails(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(standalone, "_places", dict(standalone._places))

    def call(folder, *arguments):
        code = headless.main([str(EXAMPLE), "--input", str(folder), "--output", str(tmp_path / "output"), *arguments])
        assert code
        return capsys.readouterr().err

    return call


@pytest.mark.skipif(INSTALLED, reason="the package is there")
def test_a_missing_package_is_said_before_anything_runs(fails, photographs):
    message = fails(photographs)
    assert f"pip install {PACKAGE}" in message and "A network of photographs" in message


def test_a_missing_folder_is_named(fails, tmp_path):
    message = fails(tmp_path, "--set", "A network of photographs.model=starter emoji classifier")
    assert "there is no folder 'photographs/" in message and "put the pictures there" in message
