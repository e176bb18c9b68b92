"""Advice: the best of each axis, those that are not told apart from it, and who serves all as weighed."""

import pytest
from trilemma.models.errors import BadInput
from trilemma.models.scoring.advice import advice, advise
from trilemma.models.scoring.leaderboard import leaderboard
from trilemma.models.scoring.scores import Score, Scores
from trilemma.tests.scoring.boards import STARTER, model, provenance

ALL = {"quality": 1.0, "coverage": 1.0, "speed": 1.0, "memory": 1.0}


def group(*models):
    return leaderboard(models).groups[0]


def drawn(name, family, *numbers, **costs):
    return model(name, *numbers, costs=costs, came_from=provenance(generator={"family": family}))


THREE = (
    drawn("A", "diffusion", 2.0, 0.8, 1.0, peak_bytes=4e9),
    drawn("B", "gan", 4.0, 0.4, 0.001, peak_bytes=1e9),
    drawn("C", "vae", 40.0, 0.7, 0.01, peak_bytes=2e8),
)


def test_each_axis_has_its_best_in_one_sentence():
    text = advise(group(*THREE), ALL)
    assert text == (
        "Use for quality a diffusion model, A (FID 2); for coverage a diffusion model, A (recall 0.800); for speed a "
        "GAN, B (images/s 1,000); for memory a VAE, C (peak memory 200 MB); for quality, coverage, speed and memory "
        "weighed 1 : 1 : 1 : 1, a GAN, B."
    )


@pytest.mark.parametrize(
    ("weights", "end"),
    [
        ({"quality": 9.0, "speed": 1.0}, "for quality and speed weighed 9 : 1, a diffusion model, A."),
        ({"coverage": 1.0, "memory": 5.0}, "for coverage and memory weighed 1 : 5, a VAE, C."),
        ({"speed": 3.0}, "Use for speed a GAN, B (images/s 1,000)."),
    ],
)
def test_weights_decide(weights, end):
    assert advise(group(*THREE), weights).endswith(end)


def test_those_not_told_apart_are_named_together():
    text = advise(group(model("A", 4.0), model("B", 4.1), model("C", 9.0)), {"quality": 1.0})
    assert text == "Use for quality A (FID 4) or B (FID 4.1), which are not told apart."


def test_a_distance_that_is_not_inceptions_is_called_fd():
    other = provenance(STARTER)
    rows = group(model("A", 4.0, came_from=other), model("B", 9.0, came_from=other))
    assert advise(rows, {"quality": 1.0}) == "Use for quality A (FD 4)."
    with pytest.raises(BadInput, match="no row has FD at infinity"):
        advise(rows, {"quality": 1.0}, "fid_infinity")


def test_what_no_row_tells_is_said():
    text = advise(group(model("A", 4.0, None)), {"quality": 1.0, "coverage": 1.0})
    assert text == "Use for quality A (FID 4) (no row tells of coverage)."


@pytest.mark.parametrize(
    ("weights", "message"),
    [({"quality": 0.0}, "weights: all are 0"), ({"coverage": 1.0}, "weights: no row has recall; weigh what")],
)
def test_nothing_to_advise_by(weights, message):
    with pytest.raises(BadInput, match=message):
        advise(group(model("A", 4.0, None)), weights)


def test_a_board_of_several_kinds_is_advised_by_those_that_can_be():
    pictures = Scores("edit", (Score("psnr", 30.0),), provenance={"taken_by": {"of": "x"}})
    groups = leaderboard([model("A", 4.0), pictures]).groups
    first, second = advice(groups, {"quality": 1.0}).split("\n")
    assert first == "Use for quality A (FID 4)."
    assert second.startswith("No advice for ") and second.endswith(": no row has FID; weigh what the rows have.")
    with pytest.raises(BadInput, match="all are 0"):
        advice(groups, {"quality": 0.0})
