"""The example of the starters that names the trilemma: four models that are told nothing, drawn, scored and ranked."""

import json
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).resolve().parents[2] / "example_workflows" / "api" / "trilemma_starters.json"
SAMPLES = 16


def test_four_starters_stand_between_quality_coverage_and_speed(run, tmp_path):
    few = [f"--set=#{node}.num_images={SAMPLES}" for node in ("4", "6", "8", "10")]
    shown = run(EXAMPLE, *few)
    (group,) = json.loads((tmp_path / "output/scores/trilemma_starters_00001_.json").read_text())["groups"]
    assert group["setting"]["samples"] == SAMPLES
    rows = {row["name"]: row for row in group["rows"]}
    assert set(rows) == {"Denoising diffusion GAN", "DDPM", "VAE", "StyleGAN2"}
    drawn_by = rows["Denoising diffusion GAN"]["scores"]["provenance"]["generator"]
    assert (drawn_by["architecture"], drawn_by["family"]) == ("denoising diffusion GAN", "diffusion")
    assert all(0 <= share <= 1 for row in rows.values() for share in row["trilemma_position"])
    for node in ("12", "13"):
        (path,) = shown[node]["images"]
        assert min(Image.open(path).size) > 300
