"""The Fréchet distance against closed forms, and on features that break careless square roots."""

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.scoring.metrics.frechet import Gaussian, frechet_distance, frechet_distance_of_rows, gaussian
from trilemma.tests.scoring import recipes


def features(count: int, size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def test_gaussians_on_the_same_axes_have_a_closed_form():
    a = Gaussian(9, torch.tensor([1.0, 2.0]).double(), torch.diag(torch.tensor([4.0, 9.0])).double())
    b = Gaussian(9, torch.tensor([0.0, 4.0]).double(), torch.diag(torch.tensor([1.0, 25.0])).double())
    assert frechet_distance(a, b) == pytest.approx(1 + 4 + (2 - 1) ** 2 + (3 - 5) ** 2)


def test_it_equals_the_root_of_the_product_of_covariances():
    a, b = gaussian(features(200, 6)), gaussian(features(300, 6, 1) @ features(6, 6, 2) + 1)
    values = torch.linalg.eigvals(a.covariance @ b.covariance)
    expected = (a.mean - b.mean).square().sum() + a.covariance.trace() + b.covariance.trace()
    expected -= 2 * values.sqrt().real.sum()
    assert frechet_distance(a, b) == pytest.approx(float(expected), rel=1e-9)
    assert frechet_distance(b, a) == pytest.approx(float(expected), rel=1e-9)


def test_a_set_is_at_no_distance_from_itself():
    a = gaussian(features(50, 8))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("count", [2, 5])
def test_fewer_samples_than_dimensions_give_a_finite_distance(count):
    distance = frechet_distance(gaussian(features(count, 16)), gaussian(features(count, 16, 1)))
    assert 0 < distance < 100


def test_constant_features_are_as_far_apart_as_their_means():
    a, b = gaussian(torch.zeros(4, 3)), gaussian(torch.ones(4, 3))
    assert frechet_distance(a, b) == pytest.approx(3)


def test_one_sample_is_refused():
    with pytest.raises(BadInput, match="at least 2"):
        gaussian(features(1, 3))


def test_it_agrees_with_the_libraries_where_samples_abound():
    case = recipes.case("n500_d64")
    distance = frechet_distance(gaussian(case.fake), gaussian(case.real))
    for library, recorded in case.recorded["fid"].items():
        # The first three take means in float32.
        assert distance == pytest.approx(recorded, rel=3e-9), library
    assert distance == pytest.approx(case.recorded["fid"]["torchmetrics_compute_fid_float64"], rel=1e-11)
    assert frechet_distance_of_rows(case.fake, case.real) == distance


@pytest.mark.slow
def test_it_agrees_with_torchmetrics():
    from torchmetrics.image.fid import _compute_fid

    a, b = gaussian(features(80, 12)), gaussian(features(90, 12, 1) @ features(12, 12, 2) + 1)
    expected = _compute_fid(a.mean, a.covariance, b.mean, b.covariance)
    assert frechet_distance(a, b) == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.slow
def test_fewer_samples_than_dimensions_need_no_covariance():
    case = recipes.case("n500_d2048_rank_deficient")
    distance = frechet_distance_of_rows(case.fake, case.real)
    for library, recorded in case.recorded["fid"].items():
        assert distance == pytest.approx(recorded, rel=1e-6), library


@pytest.mark.parametrize("counts", [(2, 2), (5, 9), (5, 40), (40, 5), (40, 50)])
def test_rows_and_gaussians_agree(counts):
    a, b = features(counts[0], 16), features(counts[1], 16, 1) * 2 + 1
    expected = frechet_distance(gaussian(a), gaussian(b))
    assert frechet_distance_of_rows(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance_of_rows(b, a) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("count", [2, 10, 60])
def test_rows_are_at_no_distance_from_themselves(count):
    a = features(count, 16)
    assert frechet_distance_of_rows(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(gaussian(a), gaussian(a)) == pytest.approx(0, abs=1e-6)


def test_some_constant_features_change_nothing():
    a, b = features(60, 6), features(70, 6, 1) * 1.5
    wide_a, wide_b = (torch.cat([x, torch.full((len(x), 3), 7.0)], dim=1) for x in (a, b))
    expected = frechet_distance(gaussian(a), gaussian(b))
    assert frechet_distance(gaussian(wide_a), gaussian(wide_b)) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(gaussian(wide_a), gaussian(torch.cat([b, features(70, 3, 2)], dim=1))) > expected


def test_features_that_depend_on_others_leave_it_finite():
    a, b = features(60, 6), features(60, 6, 1)
    doubled = [gaussian(torch.cat([x, x[:, :3] + x[:, 3:]], dim=1)) for x in (a, b)]
    distance = frechet_distance(*doubled)
    values = torch.linalg.eigvals(doubled[0].covariance @ doubled[1].covariance).real.clamp(min=0)
    expected = (doubled[0].mean - doubled[1].mean).square().sum() - 2 * values.sqrt().sum()
    expected += doubled[0].covariance.trace() + doubled[1].covariance.trace()
    assert distance == pytest.approx(float(expected), rel=1e-6)


def test_noise_takes_a_set_farther_away():
    a, b = features(300, 8), features(300, 8, 1)
    noise = features(300, 8, 2)
    distances = [frechet_distance_of_rows(b + level * noise, a) for level in (0, 0.5, 1, 2)]
    assert distances == sorted(distances)


@pytest.mark.parametrize(("position", "name"), [(0, "generated"), (1, "reference")])
def test_values_that_are_not_numbers_are_refused_by_name(position, name):
    sets = [features(9, 3), features(9, 3, 1)]
    sets[position][4, 1] = torch.nan
    with pytest.raises(BadInput, match=f"{name}: .* NaN"):
        frechet_distance_of_rows(*sets)
    with pytest.raises(BadInput, match=f"{name}: .* NaN"):
        frechet_distance(*map(gaussian, sets))


def test_other_dimensions_are_refused():
    with pytest.raises(BadInput, match="4 dimensions do not compare with 3"):
        frechet_distance_of_rows(features(9, 3), features(9, 4))
    with pytest.raises(BadInput, match="4 dimensions do not compare with 3"):
        frechet_distance(gaussian(features(9, 3)), gaussian(features(9, 4)))


def test_one_row_is_refused():
    with pytest.raises(BadInput, match="reference: features of 1 samples are too few"):
        frechet_distance_of_rows(features(9, 3), features(1, 3))
