"""Rows that differ and rows that do not: resampled in pairs, independently, or by what is known of their errors."""

import math

import pytest
import torch
from trilemma.models.scoring.comparison.bands import standings
from trilemma.models.scoring.comparison.differences import INCONCLUSIVE, Estimate, differences
from trilemma.models.scoring.comparison.estimates import estimate
from trilemma.models.scoring.comparison.influences import Influences, of_images
from trilemma.models.scoring.metrics.frechet import Gaussian, gaussian
from trilemma.models.scoring.metrics.frechet_interval import frechet_interval
from trilemma.models.scoring.scores import Score, Scores

COUNT = 800


def noise(seed, count=COUNT):
    return torch.randn(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def row(value, influences, first_seed=0, count=None):
    seeds = None if first_seed is None else torch.arange(first_seed, first_seed + len(influences))
    found = Influences(influences, seeds, count or len(influences))
    return Estimate(value, found.standard_error, found)


def one(*rows, **changes):
    (found,) = differences(rows, higher_is_better=False, **changes)
    return found


def test_independent_rows_have_the_error_of_two_means():
    found = one(row(3.0, 20 * noise(0)), row(2.0, 30 * noise(1), None))
    assert (found.first, found.second, found.gap, found.how, found.shared) == (1, 0, 1.0, "independent", 0)
    error = math.hypot(float((20 * noise(0)).std()), float((30 * noise(1)).std())) / COUNT**0.5
    assert found.reach == pytest.approx(1.96 * error, rel=0.08)
    assert found.p == pytest.approx(math.erfc(1.0 / error / 2**0.5), abs=0.04)


def test_what_shared_seeds_have_in_common_cancels():
    common = 20 * noise(0)
    ours, theirs = row(2.0, common + noise(1)), row(2.3, common + noise(2))
    apart = row(2.3, common + noise(2), first_seed=10**6)
    paired, independent = one(ours, theirs), one(ours, apart)
    assert (paired.how, paired.shared, independent.how) == ("paired", COUNT, "independent")
    assert paired.reach == pytest.approx(1.96 * 2**0.5 / COUNT**0.5, rel=0.1)
    assert paired.told_apart and paired.p < 0.001
    assert not independent.told_apart and independent.p > 0.3


def test_pairs_are_found_whatever_the_order_of_the_samples_and_however_few_overlap():
    common = 20 * noise(0)
    turned = row(2.0, common.flip(0))
    turned = turned.__class__(2.0, turned.error, turned.influences._replace(seeds=torch.arange(COUNT).flip(0)))
    assert one(turned, row(2.0, common)).reach == pytest.approx(0, abs=1e-9)
    half = one(row(2.0, common), row(2.0, common[COUNT // 2 :], first_seed=COUNT // 2))
    assert half.shared == COUNT // 2
    assert 0.1 < half.reach < one(row(2.0, common), row(2.0, common, None)).reach


def test_kept_rows_of_many_samples_have_the_error_of_all():
    few, many = row(2.0, 20 * noise(0)), row(2.0, 20 * noise(0), count=100 * COUNT)
    other = Estimate(2.0, 0.0, Influences(torch.zeros(2, dtype=torch.float64), None, 2))
    assert one(many, other).reach == pytest.approx(one(few, other).reach / 10, rel=1e-6)


def test_a_gap_below_the_inconclusive_share_is_none_however_sure():
    sure = noise(0) * 1e-6
    near, far = one(row(10.0, sure), row(10.12, sure)), one(row(10.0, sure), row(10.14, sure))
    assert near.p < 0.001 and not near.told_apart
    assert far.told_apart
    assert one(row(10.0, sure), row(10.12, sure), inconclusive=0.0).told_apart
    assert INCONCLUSIVE == 0.013


@pytest.mark.parametrize(
    ("errors", "gap", "told_apart", "how"),
    [
        ((0.1, 0.1), 0.27, False, "intervals"),
        ((0.1, 0.1), 0.29, True, "intervals"),
        ((None, 0.1), 0.19, False, "one interval"),
        ((0.1, None), 0.20, True, "one interval"),
        ((None, 0.001), 0.02, False, "one interval"),
        ((None, None), 0.02, False, "unknown"),
        ((None, None), 0.04, True, "unknown"),
    ],
)
def test_where_nothing_is_kept_intervals_decide_and_without_them_the_share_alone(errors, gap, told_apart, how):
    found = one(Estimate(2.0, errors[0]), Estimate(2.0 + gap, errors[1]))
    assert (found.told_apart, found.how) == (told_apart, how)
    assert (found.p is None) == (None in errors)


def test_means_of_few_runs_have_few_degrees_of_freedom():
    """19.8, 20.4, 19.6 against 21.1, 20.9, 21.6, as SciPy's Welch test has it: 3.92 degrees."""
    found = one(Estimate(19.9333, 0.240370, freedom=2, runs=3), Estimate(21.2, 0.208167, freedom=2, runs=3))
    assert found.how == "runs"
    assert found.reach == pytest.approx(2.798964 * math.hypot(0.240370, 0.208167), rel=1e-4)
    assert found.p == pytest.approx(0.0170125, rel=1e-3)


def share_row(value, count, low=None, high=None):
    """The share of so many edits that were done, all or none of them; from a report if it has an interval."""
    known = of_images({"edit_done": [value] * count}) if low is None else None
    return estimate(Scores("row", (Score("edit_done", value, low=low, high=high),), influences=known), "edit_done")


@pytest.mark.parametrize(("count", "told_apart"), [(1, False), (2, False), (4, True), (5, True), (10, True)])
def test_outcomes_that_are_all_alike_are_no_certainty(count, told_apart):
    """All of n against none of n: by Fisher's exact test p is 2 / (2n over n), and 4 is the least that tells apart."""
    (found,) = differences([share_row(1.0, count), share_row(0.0, count)], higher_is_better=True)
    assert (found.first, found.gap, found.told_apart) == (0, 1.0, told_apart)
    exact = 2 / math.comb(2 * count, count)
    assert (found.p < 0.05) == told_apart == (exact < 0.05)


def test_an_interval_that_ends_at_one_has_the_error_of_its_other_end():
    """Of one picture Wilson's interval of 1 reaches from 0.21 to 1."""
    (found,) = differences([share_row(1.0, 1, 0.2065, 1.0), share_row(0.0, 1, 0.0, 0.7935)], higher_is_better=True)
    assert found.how == "intervals" and not found.told_apart
    assert found.reach == pytest.approx(2**0.5 * 0.7935, rel=1e-6)


def test_infinite_values_differ_from_finite_ones_and_not_from_each_other():
    found = differences([Estimate(math.inf, 1.0), Estimate(math.inf, 1.0), Estimate(30.0, 1.0)], True)
    assert [(each.first, each.second, each.told_apart) for each in found] == [(0, 1, False), (0, 2, True), (1, 2, True)]


def fid_row(seed):
    """A draw of one model, 400 samples of 4 dimensions."""
    rows = 1.2 * torch.randn(400, 4, generator=torch.Generator().manual_seed(seed)) + 0.4
    reference = Gaussian(10**6, torch.zeros(4, dtype=torch.float64), torch.eye(4, dtype=torch.float64))
    found = frechet_interval(rows, gaussian(rows), reference)
    return row(found.distance, found.influences, None)


@pytest.mark.slow
def test_equal_models_are_told_apart_in_one_of_twenty_draws():
    drawn = [(fid_row(2 * draw), fid_row(2 * draw + 1)) for draw in range(120)]
    pairs = [one(*rows, seed=draw, inconclusive=0.0, resamples=400) for draw, rows in enumerate(drawn)]
    assert 1 <= sum(each.told_apart for each in pairs) <= 14
    assert 0.4 < sum(each.p for each in pairs) / len(pairs) < 0.6


def test_higher_may_be_better():
    (found,) = differences([Estimate(1.0, 0.0), Estimate(2.0, 0.0)], higher_is_better=True)
    assert (found.first, found.second) == (1, 0)


def standing(values, errors, higher=False):
    known = [Estimate(value, error) for value, error in zip(values, errors, strict=True) if not math.isnan(value)]
    return standings(values, differences(known, higher), higher)


def test_rows_that_are_not_told_apart_share_a_rank():
    found = standing([5.0, 5.1, 7.0, math.nan], [0.2] * 4)
    assert found == [(1, (1, 2)), (1, (1, 2)), (3, (3, 3)), None]


def test_a_chain_is_one_band_whose_ends_are_known():
    """The first is told apart from the third, and neither from the second: no rank can say that, the places can."""
    found = standing([5.0, 5.4, 5.8], [0.2] * 3)
    assert [each.rank for each in found] == [1, 1, 1]
    assert [each.places for each in found] == [(1, 2), (1, 3), (2, 3)]


def test_a_band_holds_what_lies_between():
    found = standing([5.0, 5.5, 6.0, 12.0], [0.01, 0.01, 2.0, 0.01])
    assert [each.rank for each in found] == [1, 1, 1, 4]
    assert found[0].places == (1, 2) and found[1].places == (2, 3)


def test_the_highest_is_first_where_higher_is_better():
    assert [each.rank for each in standing([0.2, 0.9, 0.5], [0.01] * 3, higher=True)] == [3, 1, 2]
