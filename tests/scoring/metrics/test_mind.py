"""MIND against torch-fidelity's algorithm, its closed form for Gaussians, and the spread of repetitions."""

import math

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.scoring.metrics import mind
from trilemma.models.scoring.metrics.checks import check_finite
from trilemma.models.scoring.metrics.mind import draw_directions, monge_inception_distance
from trilemma.tests.benchmarks import score_references
from trilemma.tests.scoring import recipes


def features(count: int, size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("counts", [(80, 80), (80, 120), (130, 70)])
@pytest.mark.parametrize("directions", [1, 7, 300])
def test_it_is_torch_fidelitys_with_the_same_seed(counts, directions):
    x, y = features(counts[0], 24), features(counts[1], 24, 1) * 1.3 + 0.2
    expected = score_references.mind(x, y, directions, seed=2020)
    assert monge_inception_distance(x, y, 2020, directions).value == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["n500_d64", "n500_d2048_rank_deficient"])
def test_it_is_torch_fidelitys_on_the_packages_features(name):
    case = recipes.case(name)
    expected = score_references.mind(case.fake, case.real, 1000, seed=3)
    assert monge_inception_distance(case.fake, case.real, 3).value == pytest.approx(expected, rel=1e-5)


def test_one_dimension_is_the_wasserstein_distance():
    x, y = torch.tensor([[0.0], [2.0], [1.0]]), torch.tensor([[5.0], [1.0], [3.0]])
    found = monge_inception_distance(x, y, 0, 4)
    assert found.value == pytest.approx(3 * (1 + 4 + 9) / 3)


@pytest.mark.slow
@pytest.mark.parametrize("size", [8, 128])
def test_shifted_gaussians_have_the_closed_form(size):
    shift = 0.5
    found = monge_inception_distance(features(4000, size), features(4000, size, 1) + shift, 0)
    assert found.value == pytest.approx(3 * size * shift**2, rel=0.1)
    assert found.low < found.value < found.high


def test_equal_sets_are_at_no_distance_in_any_order():
    x = features(50, 16)
    assert monge_inception_distance(x, x.flip(0), 0, 20).value == 0


def test_directions_are_of_length_1_and_even():
    found = draw_directions(3, torch.Generator().manual_seed(0), 20_000)
    assert torch.allclose(found.norm(dim=1), torch.ones(20_000))
    assert torch.allclose(found.T @ found / 20_000, torch.eye(3) / 3, atol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("scale", "shift", "widest"), [(1.4, 0.3, 1.25), (0.8, 0.1, 1.25), (1.0, 0.0, 1.6)])
def test_the_interval_is_that_of_repetitions(scale, shift, widest):
    """Of sets that do not differ it is too wide: there the distance is of second order in the samples."""
    reference = features(300, 16, 10_000)
    found = [
        monge_inception_distance(features(300, 16, seed) * scale + shift, reference, seed, 100) for seed in range(150)
    ]
    spread = torch.tensor([each.value for each in found]).std().item()
    told = sum(each.standard_error for each in found) / len(found)
    # The spread of 150 values is itself known to 6 % only.
    assert 0.8 < told / spread < widest


@pytest.mark.slow
def test_few_directions_tell_the_error_of_many(monkeypatch):
    x, y = features(300, 64), features(300, 64, 1) + 0.2
    few = monge_inception_distance(x, y, 0, 400).standard_error
    monkeypatch.setattr(mind, "_TELLING", 400)
    monkeypatch.setattr(mind, "_BLOCK", 400)
    assert few == pytest.approx(monge_inception_distance(x, y, 0, 400).standard_error, rel=0.15)


def test_broken_features_are_refused():
    x = features(5, 4)
    for bad in (math.nan, math.inf):
        broken = x.clone()
        broken[2, 1] = bad
        with pytest.raises(BadInput, match="reference: 1 values are NaN or infinite"):
            monge_inception_distance(x, broken, 0)
    with pytest.raises(BadInput, match="features of 1 samples are too few"):
        monge_inception_distance(x[:1], x, 0)
    # A sum that overflows is no reason to refuse.
    check_finite("generated", torch.full((4,), 3e38))
