"""Thresholds: who passes, and what a failure says."""

import math

import pytest
from trilemma.models.errors import BadInput, ScoreMissed, TrilemmaError
from trilemma.models.scoring.gate import check, check_scores
from trilemma.models.scoring.scores import Score, Scores

SCORES = Scores(
    "my model", (Score("fid", 12.5), Score("ms_ssim", math.nan, note="too small")), cost={"seconds_per_image": 0.5}
)


@pytest.mark.parametrize(
    ("value", "comparison", "passes"),
    [
        (2.0, "at least", True),
        (1.99, "at least", False),
        (2.0, "at most", True),
        (2.01, "at most", False),
        (math.inf, "at least", True),
        (math.inf, "at most", False),
        (math.nan, "at least", False),
        (math.nan, "at most", False),
    ],
)
def test_a_value_passes_on_its_side(value, comparison, passes):
    if passes:
        assert check(value, "value", "quality", comparison, 2.0).endswith("passed")
    else:
        with pytest.raises(ScoreMissed):
            check(value, "value", "quality", comparison, 2.0)


def test_a_failure_says_name_number_and_limit():
    with pytest.raises(TrilemmaError) as caught:
        check_scores(SCORES, "fid", "nightly", "at most", 10)
    assert str(caught.value) == "nightly: fid of my model is 12.5, but must be at most 10."


def test_a_missing_number_fails_with_its_reason():
    with pytest.raises(ScoreMissed, match=r"ms_ssim of my model has no value \(too small\), but must be at least 0.9"):
        check_scores(SCORES, "ms_ssim", "nightly", "at least", 0.9)


def test_a_missing_metric_fails_and_names_those_there_are():
    with pytest.raises(ScoreMissed, match="nightly: metric: my model has no 'kid'; it has fid, ms_ssim"):
        check_scores(SCORES, "kid", "nightly", "at most", 1)


def test_costs_are_gated_too():
    assert "0.5, at most 1" in check_scores(SCORES, "seconds_per_image", "speed", "at most", 1)
    assert "2, at least 1.5" in check_scores(SCORES, "images_per_second", "speed", "at least", 1.5)


def test_a_threshold_that_is_none_is_refused():
    for comparison in ("at least", "at most"):
        with pytest.raises(BadInput, match="threshold: it is NaN"):
            check(1.0, "FID", "gate", comparison, math.nan)
