"""Vendi scores and RKE against dgm-eval's, the package's published examples, and the spread of repetitions."""

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.scoring.metrics.diversity import TRUNCATED, diversity, spectrum, vendi_score
from trilemma.tests.scoring import recipes


def features(count: int, size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.slow
@pytest.mark.parametrize("name", recipes.THREES)
def test_it_is_dgm_evals(name):
    case = recipes.three(name)
    recorded = case.recorded["dgm_eval"]
    found = spectrum(case.generated)
    # Its eigenvalues of [N, N] are float32, so that some of those that should be 0 are positive.
    assert diversity(found).value == pytest.approx(recorded["vendi_linear"], rel=1e-5)
    assert diversity(found, order=2).value == pytest.approx(recorded["vendi_linear_q2"], rel=1e-6)
    assert 1 / float(found.values[0]) == pytest.approx(recorded["vendi_linear_qinf"], rel=1e-6)


def test_the_packages_published_examples():
    samples = torch.tensor([0.0, 0, 10, 10, 20, 20])
    assert vendi_score(torch.exp(-(samples[:, None] - samples).abs())) == pytest.approx(2.9999, abs=1e-4)
    similar = torch.tensor([[1.0, 0.9, 0], [0.9, 1, 0], [0, 0, 1]])
    assert vendi_score(similar) == pytest.approx(2.1573, abs=1e-4)


def test_the_number_of_different_samples():
    different = torch.eye(5).repeat(7, 1)
    for order in (1, 2):
        assert diversity(spectrum(different), order).value == pytest.approx(5)
    assert diversity(spectrum(different), truncated=3).value == pytest.approx(3)
    assert diversity(spectrum(torch.ones(4, 3))).value == pytest.approx(1)


@pytest.mark.parametrize("counts", [(40, 12), (12, 40)])
def test_both_sides_of_the_matrix_have_the_same_eigenvalues(counts):
    x = features(*counts)
    unit = x.double() / x.double().norm(dim=1, keepdim=True)
    values = torch.linalg.eigvalsh(unit @ unit.T / len(x)).flip(0)[: min(counts)]
    found = spectrum(x)
    assert torch.allclose(found.values, values)
    assert torch.allclose(found.parts.mean(dim=0), values)
    assert diversity(found).value == pytest.approx(vendi_score(unit @ unit.T))
    # The authors' rule: the largest alone, the rest of 1 evenly upon them.
    kept = values[:5] + (1 - values[:5].sum()) / 5
    assert diversity(found, truncated=5).value == pytest.approx(float((-(kept * kept.log()).sum()).exp()))
    assert diversity(found, truncated=TRUNCATED) == diversity(found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("order", "truncated", "widest"),
    # Where nearly equal eigenvalues are cut apart, they change places in repetitions.
    [(1, None, 1.15), (1, 4, 1.3), (2, None, 1.15)],
)
def test_the_interval_is_that_of_repetitions(order, truncated, widest):
    scale = torch.linspace(0.5, 2, 10)
    found = [diversity(spectrum(features(400, 10, seed) * scale + 0.3), order, truncated) for seed in range(200)]
    spread = torch.tensor([each.value for each in found]).std().item()
    told = sum(each.high - each.low for each in found) / len(found) / 2 / 1.96
    assert 0.85 < told / spread < widest


def test_what_points_nowhere_is_refused():
    with pytest.raises(BadInput, match="all zero"):
        spectrum(torch.zeros(3, 4))
    with pytest.raises(BadInput, match="square"):
        vendi_score(torch.ones(2, 3))
