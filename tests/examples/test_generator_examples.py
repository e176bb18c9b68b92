"""The examples of generators run headless, and show what their names promise."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from trilemma.models.files import catalog
from trilemma.models.scoring.extractors.classifier_network import load_classifier

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "example_workflows" / "api"


def graph(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"), dtype=float) / 255


def test_four_families_draw_the_same_classes(run):
    shown = run(FOLDER / "four_families.json")
    classes = graph("four_families")["11"]["inputs"]["text"].splitlines()
    assert len(shown["14"]["images"]) == 1
    records = [json.loads(Image.open(path).text["trilemma"]) for path in shown["15"]["images"]]
    assert [record["condition"] for record in records] == classes
    assert [record["seed"] for record in records] == list(range(8))
    assert {record["family"] for record in records} == {"diffusion"}


def test_latent_walk_moves_in_small_steps(run):
    frames = np.stack([pixels(path) for path in run(FOLDER / "latent_walk.json")["10"]["images"]])
    assert len(frames) == 13
    steps = np.sqrt(np.square(np.diff(frames, axis=0)).mean(axis=(1, 2, 3)))
    ways = np.sqrt(np.square(np.diff(frames[::4], axis=0)).mean(axis=(1, 2, 3)))
    assert steps.min() > 0
    assert steps.mean() < 0.6 * ways.mean()


def test_reconstruct_blurs_but_keeps(run):
    lines = run(FOLDER / "reconstruct.json")["8"]["text"][0].splitlines()
    assert len(lines) == 9
    values = [float(line.split()[-2]) for line in lines]
    assert all(15 < value < 40 for value in values)


def test_halves_are_gone_on_with_as_each_class(run):
    """A row of the grid has one upper half, up to what the decoder makes of what lies below."""
    results = run(FOLDER / "complete_image.json")
    assert len(results["7"]["images"]) == 4
    grid = pixels(results["6"]["images"][0])
    header = grid.shape[0] - 4 * 132
    cells = [[grid[header + 132 * row :, 132 * column :][4:132, 4:132] for column in range(4)] for row in range(4)]
    for row in cells:
        upper, lower = (
            [np.abs(cell[part] - row[0][part]).mean() for cell in row[1:]] for part in (slice(0, 24), slice(80, 128))
        )
        assert max(upper) < 0.06
        assert min(lower) > max(upper)


def test_directions_lead_away_from_what_was_drawn(run):
    """Five rows of five: unmoved in the middle, further away to both sides, and a picture found again."""
    results = run(FOLDER / "stylegan_walk.json")
    assert float(results["20"]["text"][0].split("PSNR ")[1].split()[0]) > 20
    grid = pixels(results["24"]["images"][0])
    header, left = grid.shape[0] - 5 * 132, grid.shape[1] - 5 * 132
    cells = [[grid[header + 132 * row :, left + 132 * column :][:128, :128] for column in range(5)] for row in range(5)]
    for other in cells[1:3]:
        assert np.abs(other[2] - cells[0][2]).max() < 0.01
    assert min(np.abs(cells[row][2] - cells[0][2]).mean() for row in (3, 4)) > 0.03
    for row in cells:
        far, near, _, close, end = (np.abs(cell - row[2]).mean() for cell in row)
        assert far > 1.3 * near > 0.01
        assert end > 1.3 * close > 0.01


def test_a_classifier_leads_a_model_that_is_told_no_class(run, tmp_path):
    """The same seeds, guided more and more, and what that trades for what; with fewer samples and steps than it has."""
    made = graph("classifier_guidance")
    (sweep,) = (node["inputs"] for node in made.values() if node["class_type"] == "TrilemmaSweep")
    (options,) = (node["inputs"] for node in made.values() if node["class_type"] == "TrilemmaDiffusionOptions")
    assert sweep["option"] == "critic_strength"
    sweep |= {"values": "0, 10", "num_images": 6}
    options["steps"] = 4
    (tmp_path / "graph.json").write_text(json.dumps(made))
    shown = run("graph.json")
    saved = [node for node, each in made.items() if each["class_type"] == "SaveImage"]
    grid, curves = (shown[node]["images"] for node in saved)
    assert len(grid) == 1 and len(curves) == 3
    text = next(each["text"][0] for node, each in shown.items() if made[node]["class_type"] == "TrilemmaSweep")
    assert [line.split()[0] for line in text.splitlines()[1:4]] == ["critic_strength", "0", "10"]


def test_features_of_pictures_and_names_are_drawn(run):
    """Below the pictures that are given: three of each by its features, then three by its name."""
    (path,) = run(FOLDER / "draw_from_features.json")["11"]["images"]
    grid, names = pixels(path), graph("draw_from_features")["8"]["inputs"]["text"].splitlines()
    left = grid.shape[1] - 4 * 100
    cells = [grid[4 + 100 * row :, left + 100 * column :][:96, :96] for row in range(7) for column in range(4)]
    network = load_classifier(catalog.starter_folder("extractor", "starter emoji classifier"))
    small = np.stack([cell.reshape(32, 3, 32, 3, 3).mean(axis=(1, 3)) for cell in cells])
    with torch.no_grad():
        called = network(torch.from_numpy(small).float().movedim(-1, 1) * 2 - 1).argmax(dim=1).tolist()
    right = [network.class_names[label] == names[place % 4] for place, label in enumerate(called)]
    assert all(right[:4])
    assert sum(right[4:]) > 21
