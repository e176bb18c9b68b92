"""Influences of samples against scores taken anew without each sample."""

import math

import pytest
import torch
from trilemma.models.scoring.comparison import influences
from trilemma.models.scoring.comparison.estimates import estimate
from trilemma.models.scoring.evaluation import score
from trilemma.models.scoring.features.feature_set import Accumulator, gaussian_of, merge
from trilemma.models.scoring.features.keys import hash_keys, is_drawn, name_by_record
from trilemma.models.scoring.metrics.frechet import frechet_distance, gaussian
from trilemma.models.scoring.metrics.kernel import kernel_distance
from trilemma.models.scoring.metrics.neighbours import neighbours
from trilemma.models.scoring.scores import Score, Scores
from trilemma.models.scoring.set_pair import SetPair
from trilemma.tests.scoring.toy import CLASSES, Toy, features, pictures

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pair():
    return SetPair(features(0, 120, capacity=120), features(200, 350, "real", capacity=150))


def without(rows):
    """The rows without each one in turn."""
    return [torch.cat([rows[:i], rows[i + 1 :]]) for i in range(len(rows))]


def found_of(pair, metric):
    found = influences.of_pair(pair, metric)
    assert found.count == 120 and len(found.values) == 120 and found.seeds is None
    return found.values - found.values.mean()


def test_fid_moves_by_its_influences(pair):
    rows, reference = pair.generated.rows.values, gaussian_of(pair.reference.taps[0])
    taken = torch.tensor([frechet_distance(gaussian(part), reference) for part in without(rows)], dtype=torch.float64)
    expected = -119 * (taken - taken.mean())
    assert torch.corrcoef(torch.stack([found_of(pair, "fid"), expected]))[0, 1] > 0.99


def test_kid_moves_by_its_influences(pair):
    rows, reference = pair.generated.rows.values, pair.reference.rows.values
    taken = torch.tensor([kernel_distance(part, reference) for part in without(rows)], dtype=torch.float64)
    expected = -118 * (taken - taken.mean())
    found = found_of(pair, "kid")
    assert torch.corrcoef(torch.stack([found, expected]))[0, 1] > 0.999
    assert float(found.std()) == pytest.approx(float(expected.std()), rel=0.05)


def test_precision_and_density_are_means_of_theirs(pair):
    found = pair.neighbours
    assert float(influences.of_pair(pair, "precision").values.mean()) == pytest.approx(found.precision)
    assert float(influences.of_pair(pair, "density").values.mean()) == pytest.approx(found.density)


def test_coverage_falls_by_what_a_sample_alone_covers(pair):
    rows, reference = pair.generated.rows.values, pair.reference.rows.values
    whole = pair.neighbours.coverage
    expected = [120 * (whole - neighbours(part, reference).coverage) for part in without(rows)]
    torch.testing.assert_close(
        influences.of_pair(pair, "coverage").values, torch.tensor(expected, dtype=torch.float64), rtol=1e-6, atol=1e-6
    )
    assert max(expected) > 0


def test_recall_falls_by_what_a_sample_alone_reaches(pair):
    rows, reference, found = pair.generated.rows.values, pair.reference.rows.values, pair.neighbours
    inside = torch.cdist(reference.double(), rows.double()) < found.generated_radii[None].double()
    others = [torch.cat([inside[:, :i], inside[:, i + 1 :]], dim=1) for i in range(120)]
    expected = [120 * float(inside.any(dim=1).sum() - left.any(dim=1).sum()) / len(reference) for left in others]
    torch.testing.assert_close(
        influences.of_pair(pair, "recall").values, torch.tensor(expected, dtype=torch.float64), rtol=1e-6, atol=1e-6
    )
    assert max(expected) > 0


def test_what_is_taken_of_no_rows_has_none(pair):
    for metric in ("inception_score", "mind", "psnr"):
        assert influences.of_pair(pair, metric) is None
    bare = pair.generated._replace(rows=None)
    assert influences.of_pair(SetPair(bare, pair.reference), "fid") is None


def test_means_over_images_pair_by_their_place():
    found = influences.of_images({"psnr": [30.0, 32.0, 31.0], "lpips": [math.nan] * 3, "ssim": [1.0]})
    assert found("psnr").seeds.tolist() == [0, 1, 2]
    assert found("psnr").standard_error == pytest.approx(1 / 3**0.5)
    assert found("lpips") is None and found("kid") is None
    # One image has no spread: of its SSIM no error is known.
    one = Scores("one", (Score("ssim", 1.0),), influences=found)
    assert estimate(one, "ssim").influences is None and estimate(one, "ssim").error is None


@torch.no_grad()
def drawn(first, last, model=0, shift=0.0):
    """Features of a model's samples with these seeds; models differ by a little noise and a shift."""
    toy = Toy()
    accumulator = Accumulator(toy.source, {"deep": toy.taps["deep"]}, CLASSES, 200)
    seeds = torch.arange(first, last)
    images = torch.cat([pictures(1, seed=seed) for seed in seeds.tolist()])
    answers = toy.extract(toy.prepare(images), ("deep",))
    own = torch.randn(answers.taps[0].shape, generator=torch.Generator().manual_seed(model))
    answers = answers._replace(taps=(answers.taps[0] + 0.02 * own + shift,))
    names = [name_by_record({"seed": seed, "weights": model}) for seed in seeds.tolist()]
    assert all(map(is_drawn, names)) and not is_drawn("picture 1.png")
    accumulator.add(hash_keys(names), seeds, answers, drawn=True)
    return accumulator.features(f"model {model}")


def test_features_keep_the_seeds_of_their_rows_over_merges():
    whole, parts = drawn(0, 60), [drawn(20, 60), drawn(0, 20)]
    assert sorted(whole.rows.drawn_with.tolist()) == list(range(60))
    merged = merge(parts)
    assert torch.equal(merged.rows.keys, whole.rows.keys)
    assert torch.equal(merged.rows.drawn_with, whole.rows.drawn_with)
    assert merge([whole, features(100, 110, capacity=200)]).rows.drawn_with is None


def test_two_models_of_the_same_seeds_are_compared_in_pairs():
    from trilemma.models.scoring.leaderboard import leaderboard

    reference = features(1000, 1300, "real", capacity=300)
    better, worse = score(drawn(0, 200, 1), reference), score(drawn(0, 200, 2, shift=0.12), reference)
    other = score(drawn(500, 700, 2, shift=0.12), reference)
    (paired,) = leaderboard([worse, better], "kid").groups[0].differences
    (apart,) = leaderboard([other, better], "kid").groups[0].differences
    assert (paired.how, paired.shared) == ("paired", 200)
    assert (apart.how, apart.shared) == ("independent", 0)
    assert paired.reach < 0.5 * apart.reach
