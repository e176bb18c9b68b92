"""Runs of one recipe make one row with its spread; runs of others, and the same run twice, do not."""

import math
from dataclasses import replace

import pytest
import torch
from trilemma.models.scoring.comparison.estimates import estimate
from trilemma.models.scoring.comparison.recipes import as_one, runs_of
from trilemma.models.scoring.leaderboard import leaderboard
from trilemma.models.scoring.scores import Score, Scores
from trilemma.tests.scoring.boards import model, provenance


def run(name, fid, identity="w" * 8, seed=0, settings=None, **more):
    came_from = provenance(
        generator={"identity": identity, "family": "gan"}, seed=seed, settings=settings or {}, **more
    )
    return model(name, fid, came_from=came_from)


def test_seeds_of_one_model_are_one_row():
    scores = [run("a", 4.0), run("b", 9.0, "other"), run("a", 4.4, seed=5000), run("a", 4.2, seed=10_000)]
    assert runs_of(scores, "seeds") == [[0, 2, 3], [1]]
    (group,) = leaderboard(scores).groups
    first, second = group.rows
    assert (first.name, first.number, first.rank, len(first.runs)) == ("a (3 seeds)", 0, 1, 3)
    assert (second.name, second.number, second.rank, second.runs) == ("b", 1, 2, ())
    fid = first.scores.score("fid")
    assert (fid.value, fid.spread, fid.low) == (pytest.approx(4.2), pytest.approx(0.2), None)
    assert fid.note == "mean of 3 runs, and their standard deviation"
    pictures = {"best": torch.zeros(1, 2, 2, 3, dtype=torch.uint8)}
    assert as_one([replace(scores[0], pictures=pictures), scores[2]]).pictures == pictures


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 4999},
        {"seed": 5000, "settings": {"truncation": 0.5}},
        {"seed": 5000, "identity": "another"},
        {"seed": 5000, "resize": "clean"},
        {"seed": 5000, "name": "a, other seeds"},
    ],
)
def test_overlapping_seeds_and_other_settings_weights_names_and_ways_are_other_rows(other):
    assert runs_of([run("a", 4.0), run(**{"name": "a", "fid": 4.4, **other})], "seeds") == [[0], [1]]
    assert runs_of([run("a", 4.0), run("a", 4.4, seed=5000)], "nothing") == [[0], [1]]


def test_checkpoints_are_one_row_where_they_are_called_alike_and_that_is_asked_for():
    scores = [run("a", 4.0), run("a", 4.6, "trained again"), run("b", 4.3)]
    assert runs_of(scores, "equal names") == [[0, 1], [2]]
    assert runs_of(scores, "seeds") == [[0], [1], [2]]
    (row, _) = leaderboard(scores, one_row="equal names").groups[0].rows
    assert row.name == "a (2 runs)"


def test_the_same_run_twice_is_not_two():
    assert runs_of([run("a", 4.0), run("a", 4.0)], "equal names") == [[0], [1]]
    assert runs_of([model("a", 4.0), model("a", 4.0)], "equal names") == [[0], [1]]


def test_seeds_have_the_error_of_their_samples_and_checkpoints_that_of_their_spread():
    seeds = [run("a", 4.0), run("a", 4.4, seed=5000)]
    # Each interval is a tenth to both sides.
    expected = math.hypot(0.4, 0.44) / 1.959964 / 2
    assert estimate(as_one(seeds), "fid", seeds).error == pytest.approx(expected, rel=1e-6)
    checkpoints = [run("a", 4.0), run("a", 4.4, "trained again")]
    found = estimate(as_one(checkpoints), "fid", checkpoints)
    assert (found.error, found.freedom, found.runs) == (pytest.approx(0.2), 1, 2)


def test_what_a_run_lacks_the_row_lacks():
    found = as_one([run("a", 4.0), run("a", None, seed=5000)])
    assert [score.metric for score in found.scores] == ["recall"]
    lacking = Scores("a", (Score("kid", math.nan, note="no rows"),))
    assert as_one([lacking, lacking]).scores[0].note == "no rows"
    assert found.cost["seconds_per_image"] == pytest.approx(0.01)


def test_a_spread_over_parts_is_an_error_over_their_number():
    found = Scores("a", (Score("inception_score", 9.0, 0.5),), provenance={"taken_by": {"splits": 10}})
    assert estimate(found, "inception_score").error == pytest.approx(0.5 / 10**0.5)
    kid = Scores("a", (Score("kid", 0.01, 0.002),), provenance={"taken_by": {"splits": 10}})
    assert estimate(kid, "kid").error == 0.002
    assert estimate(Scores("a", (Score("sfid", 9.0),)), "sfid").error is None
