"""Sweeps: values and what they are bound to, the knee, the pictures and the data."""

import json
import math

import pytest
import torch
from trilemma.models.errors import BadInput, CannotDo
from trilemma.models.generators.binding import Bound
from trilemma.models.scoring.benchmark.run import Plan
from trilemma.models.scoring.benchmark.sweep import CURVES, SWEPT, chosen, knee, read_values, sweep
from trilemma.models.scoring.benchmark.task import Task, carry_out, carry_out_all
from trilemma.models.scoring.evaluation import Settings
from trilemma.models.scoring.reports.curves import HEIGHT, draw_curves, write_curve
from trilemma.models.scoring.reports.sweep_report import describe, to_json
from trilemma.models.scoring.scores import Score, Scores, from_json
from trilemma.tests.generators.toy import Toy as ToyGenerator
from trilemma.tests.scoring.toy import Toy, features

MAXIMISED = ("higher", "higher")


def scored(fid, score, precision, recall, seconds=0.1):
    metrics = {"fid": fid, "inception_score": score, "precision": precision, "recall": recall}
    found = [Score(metric, value, low=value - 1, high=value + 1) for metric, value in metrics.items()]
    provenance = {
        "extractor": {"name": "toy", "resize": "cut"},
        "samples": 100,
        "generator": {"architecture": "Toy"},
    }
    return Scores("Toy", tuple(found), {"seconds_per_image": seconds}, provenance)


def example():
    rows = [(9, 4.0, 0.90, 0.2), (6, 3.9, 0.88, 0.5), (5, 3.0, 0.6, 0.6), (7, 2.0, 0.3, 0.65)]
    return sweep("truncation_psi", [0.4, 0.6, 0.8, 1.0], [scored(*row) for row in rows])


def test_swept_options_are_numbers():
    assert {"truncation_psi", "guidance_scale", "temperature", "steps", "eta"} <= set(SWEPT)
    assert not {"sampler", "noise_mode", "prior"} & set(SWEPT)


def test_values_are_bound_whatever_was_set_before():
    before = Bound(ToyGenerator()).with_options("gan", {"truncation_psi": 0.5})
    found = read_values("1.0,0.25 ;0.5\n", before, "truncation_psi")
    assert [value for value, _ in found] == [0.25, 0.5, 1.0]
    assert [bound.settings["truncation_psi"] for _, bound in found] == [0.25, 0.5, 1.0]


def test_the_models_own_is_told_as_its_number():
    generator = ToyGenerator(family="diffusion", options={"steps": 25, "guidance_scale": 7.5})
    found = read_values("0, 10", Bound(generator), "steps")
    assert [value for value, _ in found] == [10, 25]
    with pytest.raises(BadInput, match="there twice"):
        read_values("0, 25", Bound(generator), "steps")
    with pytest.raises(BadInput, match=r"'1\.5' is no whole number"):
        read_values("1.5, 2", Bound(generator), "steps")


@pytest.mark.parametrize("text", ["", "0.5", "0.5, 0.5", "0.5, x", "0.5, nan", "0.5, 3"])
def test_values_that_cannot_be_swept(text):
    with pytest.raises(BadInput, match=r"values|truncation_psi: 3"):
        read_values(text, Bound(ToyGenerator()), "truncation_psi")


@pytest.mark.parametrize("option", ["steps", "truncation_cutoff"])
def test_options_that_a_generator_lacks(option):
    with pytest.raises(CannotDo, match=rf"option: Toy has no {option}; its options: truncation_psi"):
        read_values("1, 2", Bound(ToyGenerator()), option)


def test_the_knee_of_a_circle_is_in_its_middle():
    curve = [(math.sin(angle), math.cos(angle)) for angle in torch.linspace(0, math.pi / 2, 9).tolist()]
    assert knee(curve, MAXIMISED) == 4
    assert knee([(-x * 3 + 1, y * 10) for x, y in curve], ("lower", "higher")) == 4


def test_a_line_a_hollow_and_missing_numbers_have_none():
    assert knee([(0, 1), (0.5, 0.5), (1, 0)], MAXIMISED) is None
    assert knee([(0, 1), (0.2, 0.2), (1, 0)], MAXIMISED) is None
    assert knee([(0, 1), (1, 0)], MAXIMISED) is None
    assert knee([(math.nan, 1), (1, 0)], MAXIMISED) is None
    assert knee([(0, 1), (math.nan, 5), (0.9, 0.9), (1, 0)], MAXIMISED) == 2


def test_what_is_best_in_both_is_the_knee():
    assert knee([(1, 5), (2, 9), (0, 3)], MAXIMISED) == 1
    assert knee([(1, 5), (1, 4)], ("higher", "lower")) == 1


def test_knees_of_the_three_curves():
    found = example()
    assert found.knees == {"precision and recall": 1, "FID and IS": 1, "FID and seconds": 2}
    assert chosen(found, "precision and recall") == 1
    straight = sweep("steps", [1, 2], [scored(5, 1, 0.5, 0.6), scored(4, 1, 0.6, 0.5)])
    assert straight.knees["precision and recall"] is None
    assert chosen(straight, "precision and recall") == 1


def test_data_and_text_say_everything():
    found = example()
    data = json.loads(to_json(found))
    assert data["option"] == "truncation_psi"
    assert data["values"] == [0.4, 0.6, 0.8, 1.0]
    assert data["knees"]["precision and recall"] == 0.6
    assert from_json(json.dumps(data["scores"][2])) == found.scores[2]
    lines = describe(found).splitlines()
    assert lines[0] == "features: toy, resize cut, 100 samples each"
    assert lines[1].split()[:3] == ["truncation_psi", "FD", "IS"]
    assert lines[3].split() == ["0.6", "6", "3.9", "0.88", "0.5", "0.1"]
    assert "knee of precision and recall: truncation_psi = 0.6" in lines
    assert any(line.startswith("knee of FD and seconds: ") for line in lines)
    assert set(data["knees"]) == {"precision and recall", "FID and IS", "FID and seconds"}


@pytest.mark.slow
def test_pictures_have_a_size_and_their_theme():
    pictures = draw_curves(example(), "light")
    assert pictures.shape == (3, 2 * HEIGHT, 2 * 768, 3)
    assert len({picture.numpy().tobytes() for picture in pictures}) == 3
    assert pictures[:, 0, 0].mean() > 0.9
    assert write_curve(example(), "FID and IS", "dark").image()[0, 0, 0].mean() < 0.1


@pytest.mark.slow
def test_pictures_name_the_extractor_and_mark_the_knee():
    texts = write_curve(example(), "FID and IS", "light").texts
    assert {"FD (toy), lower is better", "truncation_psi: FD and IS"} <= set(texts)
    assert "IS (toy), higher is better" in texts
    assert "knee: 0.6" in texts
    assert {"0.4", "0.8", "1"} <= set(texts)


@pytest.mark.slow
def test_values_without_a_number_are_left_out():
    found = example()
    missing = sweep("truncation_psi", found.values[:2], [found.scores[0], scored(math.nan, 2, 0.5, 0.5)])
    assert "0.6" not in write_curve(missing, "FID and IS", "light").texts
    nothing = sweep("truncation_psi", [1.0, 2.0], [scored(math.nan, math.nan, math.nan, math.nan)] * 2)
    assert any(text.startswith("No value has both") for text in write_curve(nothing, "FID and IS", "light").texts)
    assert draw_curves(nothing).shape[0] == len(CURVES)


@pytest.mark.slow
def test_a_sweep_is_its_benchmarks(tmp_path):
    reference, toy, cpu = features(0, 50, "real", 40), Toy(), torch.device("cpu")
    task = Task(Plan(16, 3), Settings(kid_subset_size=6, nearest_k=2), tmp_path, "sweep/toy", 0, 0)
    bound, seen = Bound(ToyGenerator()), []
    values = read_values("0.25, 1.0", bound, "truncation_psi")
    found = carry_out_all(
        task, "truncation_psi", values, toy, reference, cpu, on_step=lambda done, _=None: seen.append(done)
    )
    assert [scores.name for scores in found.scores] == ["Toy, truncation_psi = 0.25", "Toy, truncation_psi = 1"]
    assert seen == sorted(seen)
    assert seen[-1] == 2 * 16 * 2
    alone = carry_out(task, values[0][1], toy, reference, cpu)
    assert alone.scores.scores == found.scores[0].scores
    assert alone.best.shape[2] == 0
    assert len(list(tmp_path.glob("sweep/*/16.json"))) == 2
