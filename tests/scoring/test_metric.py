"""The one table of metrics and costs: what hangs on it, and that saved graphs still find what they name."""

import math

import pytest
from trilemma.models.scoring.metric import METRICS, keys_of
from trilemma.models.scoring.metrics.spatial import SPATIAL
from trilemma.models.scoring.reports.numbers import number
from trilemma.models.scoring.set_pair import SetPair, Settings
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.tests.scoring.boards import model
from trilemma.tests.scoring.toy import features

RELEASED = {
    "sort_by": "fid fid_infinity kid inception_score sfid compound_fid precision recall density coverage psnr ssim "
    "ms_ssim lpips clip_score edit_done old_object_gone untouched_psnr untouched_difference seam images_per_second "
    "evaluations parameters weight_bytes peak_bytes",
    "quality": "fid fid_infinity kid inception_score sfid compound_fid precision density",
    "coverage": "recall coverage",
}
"""What saved graphs may choose in Leaderboard."""


@pytest.mark.parametrize("field", RELEASED)
def test_every_choice_of_a_saved_graph_is_still_there(field):
    choices = NODE_CLASS_MAPPINGS["TrilemmaLeaderboard"].INPUT_TYPES()["required"][field][0]
    assert set(RELEASED[field].split()) <= set(choices)


def with_all_taps(first, last):
    """A set whose spatial tap has the name that sFID's has."""
    found = features(first, last, taps=("deep", "place", "early"))
    taps = tuple(tap._replace(name=SPATIAL if tap.name == "place" else tap.name) for tap in found.taps)
    return found._replace(taps=taps)


def test_a_line_is_all_that_leads_from_features_to_a_score():
    asked = Settings(diversity=True, protocol="CMMD")
    pair = SetPair(with_all_taps(0, 40), with_all_taps(40, 99), asked, with_all_taps(100, 140))
    for key, metric in METRICS.items():
        assert metric.key == key
        assert metric.of_features is None or metric.of_cost is None
        if metric.of_features is not None:
            found = metric.of_features(pair)
            assert found is not None and found.metric == key
            assert math.isfinite(found.value) or found.note


def test_speed_is_the_only_one_of_its_side():
    assert keys_of("speed") == ["images_per_second"]
    assert METRICS["images_per_second"].read(model("a", seconds=0.25)).value == 4
    assert METRICS["seconds_per_image"].read(model("a", seconds=0.25)).value == 0.25


def test_shares_are_written_alike():
    assert {number(key, 0.5) for key, metric in METRICS.items() if metric.unit in ("share", "ratio")} == {"0.500"}
