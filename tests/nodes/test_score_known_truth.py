"""The nodes of data with a known truth, and what the pack's estimates say of it."""

import pytest
import torch
from trilemma import NODE_CLASS_MAPPINGS
from trilemma.models.scoring.leaderboard import leaderboard

pytestmark = pytest.mark.slow

Known, Truth, Pixels, Features, Score = (
    NODE_CLASS_MAPPINGS[f"Trilemma{name}"]
    for name in ("KnownTriangles", "ScoreTriangles", "ExtractorOfPixels", "ImageFeatures", "Score")
)


def result(answer):
    return answer["result"]


def test_truth_and_what_was_drawn_agree_and_rank():
    rows = []
    for name, faulty, left_out in (("whole", 0.0, 0), ("holes", 0.4, 0), ("half", 0.0, 5)):
        images, precision, recall, info = result(Known().run(100, 28, 0, faulty, "hole", left_out))
        assert images.shape == (100, 28, 28, 3) and images.dtype == torch.float32
        found = Truth().run(images, 0.75, name=name)
        assert found["ui"]["text"] == [result(found)[-1]]
        assert result(found)[:2] == pytest.approx((precision, recall))
        assert result(found)[2].shape == images.shape
        assert f"precision {precision:.1%}" in info
        rows.append(result(found)[3])
    (group,) = leaderboard(rows, "known_precision").groups
    assert group.heading == "known truth of 100 images of 28 x 28 px, triangles within 0.75"
    assert {row.name: row.rank for row in group.rows} == {"whole": 1, "half": 1, "holes": 3}


def test_estimates_by_pixels_follow_the_truth_and_a_networks_do_not():
    """A network that was trained to name things wherever they are cannot see that places are left out."""
    loaded = NODE_CLASS_MAPPINGS["TrilemmaLoadFeatureExtractor"]().run("starter emoji classifier", resize="TF1")
    sets = {
        name: result(Known().run(300, 28, seed, 0.0, "hole", left_out))[0]
        for name, seed, left_out in (("reference", 10**6, 0), ("whole", 0, 0), ("half", 5000, 5))
    }
    recalls = {}
    for kind, extractor in (("pixels", result(Pixels().run(28, "torchmetrics"))[0]), ("network", result(loaded)[0])):
        features = {name: result(Features().run(images, extractor))[0] for name, images in sets.items()}
        for name in ("whole", "half"):
            recalls[kind, name] = result(Score().run(features[name], features["reference"]))[0].value("recall")
    assert recalls["pixels", "whole"] > 0.9 and recalls["network", "whole"] > 0.9
    assert 0.45 < recalls["pixels", "half"] < 0.7
    assert recalls["network", "half"] > 0.9
