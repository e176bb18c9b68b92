"""The Fréchet distance against closed forms, and on features that break careless square roots."""

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.scoring.frechet import Gaussian, frechet_distance, gaussian


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
