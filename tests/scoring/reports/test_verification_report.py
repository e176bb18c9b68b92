"""Verdicts on prompts as scores, in words, and on a leaderboard."""

import json

import pytest
from trilemma.models.scoring.comparison.influences import of_images
from trilemma.models.scoring.leaderboard import leaderboard
from trilemma.models.scoring.literature import tables
from trilemma.models.scoring.reports import verification_report as report
from trilemma.models.scoring.scores import Scores
from trilemma.models.scoring.verification.records import KINDS, Record, Wanted
from trilemma.models.scoring.verification.verdicts import Verdict


def verdict(tag, right):
    reasons = () if right else ("expected 1 cat, found none",)
    return Verdict(Record(tag, (Wanted("cat", 1),), (), "a cat"), reasons, {"cat": []})


def verdicts(**right):
    return [verdict(tag, bool(each)) for tag, outcomes in right.items() for each in outcomes]


MIXED = verdicts(single_object=[1, 1, 1, 0], counting=[0, 1])


def test_the_overall_score_is_the_mean_of_the_kinds():
    scores = {score.metric: score for score in report.as_scores(MIXED)}
    assert {metric: score.value for metric, score in scores.items()} == {
        "prompts_right": (0.75 + 0.5) / 2,
        "single_object": 0.75,
        "counting": 0.5,
    }
    assert scores["prompts_right"].note == "mean of 2 of 6 kinds"
    assert all(score.low < score.value < score.high for score in scores.values())
    whole = report.as_scores(verdicts(**{kind: [1] for kind in KINDS}))
    assert [score.metric for score in whole] == ["prompts_right", *KINDS] and not whole[0].note


def test_the_error_of_a_stratified_mean():
    """Kinds differ, which is no error: only pictures of one kind among each other are."""
    influences = report.influences_of(MIXED)
    expected = (0.75 * 0.25 / 4 + 0.5 * 0.5 / 2) ** 0.5 / 2
    # The standard deviation is that of a sample: n - 1.
    assert influences("prompts_right").standard_error == pytest.approx(expected * (6 / 5) ** 0.5)
    assert influences("single_object").standard_error == pytest.approx((0.75 * 0.25 / 4 * 6 / 5) ** 0.5)
    assert influences("fid") is None
    one = [each for each in MIXED if each.record.tag == "counting"]
    plain = of_images({"counting": [float(each.right) for each in one]})
    assert report.influences_of(one)("counting").standard_error == plain("counting").standard_error


def test_it_is_told_in_words():
    text = report.describe(MIXED, "a toy")
    assert "single object: 75.0% of 4 pictures (30.1% to 95.4%)" in text
    assert "prompts right, the mean of these kinds: 0.625 (" in text
    assert "Judged by a toy." in text
    assert "about 83 % of pictures" in text and "17.7 points" in text
    assert "image 3, 'a cat': WRONG: expected 1 cat, found none" in text and "image 0, 'a cat': right" in text
    told = json.loads(report.to_json(MIXED))
    assert told["images"][3] == {
        "image": 3,
        "tag": "single_object",
        "prompt": "a cat",
        "right": False,
        "reasons": ["expected 1 cat, found none"],
        "objects": {"cat": []},
    }
    assert told["kinds"]["counting"]["value"] == 0.5 and told["prompts_right"]["value"] == 0.625


@pytest.mark.slow
def test_models_are_ranked_in_pairs_with_the_literature_below():
    better = verdicts(single_object=[1] * 20, counting=[1] * 20)
    worse = verdicts(single_object=[1] * 20, counting=[0] * 20)
    alike = verdicts(single_object=[1] * 20, counting=[1] * 19 + [0])
    provenance = {"taken_by": {"of": "features"}}
    rows = [
        Scores(name, report.as_scores(each), provenance=provenance, influences=report.influences_of(each))
        for name, each in (("worse", worse), ("alike", alike), ("better", better))
    ]
    board = leaderboard(rows, "prompts_right", published=tables.tables_of("GenEval"))
    (group,) = board.groups
    assert [(row.name, row.rank) for row in group.rows] == [("better", 1), ("alike", 1), ("worse", 3)]
    (table,) = board.published
    assert table.columns == ["prompts_right", *KINDS]


def test_a_kind_of_which_all_or_none_are_right_still_has_an_error():
    """Resampling within kinds would see none: six of six and none of six make one half, which is no certainty."""
    found = report.influences_of(verdicts(counting=[0] * 6, colors=[1] * 6))
    error = (1 - 0.025 ** (1 / 6)) / 1.959964
    assert found("counting").standard_error == pytest.approx(error, rel=1e-5)
    assert found(report.OVERALL).standard_error == pytest.approx(error / 2**0.5, rel=1e-5)
