"""KID against torch-fidelity's and torchmetrics' answers, and against sums over all pairs."""

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.scoring.metrics import kernel
from trilemma.models.scoring.metrics.kernel import kernel_distance, kernel_inception_distance, subset_distances
from trilemma.tests.benchmarks import score_references
from trilemma.tests.scoring import recipes

CASES = ["n500_d64", "n500_d2048_rank_deficient"]


def features(count: int, size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def pair_by_pair(x: torch.Tensor, y: torch.Tensor) -> float:
    x, y = x.double(), y.double()
    between = torch.stack([(x @ row / x.shape[1] + 1) ** 3 for row in y])
    within = [
        sum(float((a @ b / len(a) + 1) ** 3) for i, a in enumerate(rows) for j, b in enumerate(rows) if i != j)
        / (len(rows) * (len(rows) - 1))
        for rows in (x, y)
    ]
    return sum(within) - 2 * float(between.mean())


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_on_the_same_subsets_it_agrees_with_torch_fidelity(name):
    case = recipes.case(name)
    counts = len(case.fake), len(case.real)
    picks = map(torch.from_numpy, score_references.kid_picks(counts, case.subsets, case.subset_size, 2020))
    found = subset_distances(case.fake, case.real, *picks)
    recorded = case.recorded["kid"]["torch_fidelity rng_seed=2020 subsets=100 arg order (fake,real)"]
    # Its sums are float32.
    assert float(found.mean()) == pytest.approx(recorded["kernel_inception_distance_mean"], rel=1e-6)
    assert float(found.std(correction=0)) == pytest.approx(recorded["kernel_inception_distance_std"], rel=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_all_samples_give_the_estimate_in_float64(name):
    case = recipes.case(name)
    recorded = case.recorded["kid"]["unbiased MMD2 on all samples, float64 (own)"]
    assert kernel_distance(case.fake.double(), case.real.double()) == pytest.approx(recorded, rel=1e-9)
    assert kernel_distance(case.fake, case.real) == pytest.approx(recorded, rel=1e-6)


@pytest.mark.slow
def test_it_agrees_with_torchmetrics():
    from torchmetrics.image.kid import poly_mmd

    x, y = features(30, 8), features(30, 8, 1) + 0.5
    assert kernel_distance(x, y) == pytest.approx(float(poly_mmd(x, y)), rel=1e-4)


def by_definition(x, y, kernel):
    """k(x, y) of every pair, float64, by the formulas that the papers give."""
    squares = torch.cdist(x.double(), y.double()).square()
    if kernel == "gaussian":
        return torch.exp(-squares / (2 * 10**2))
    return sum((1 + squares / (2 * a)) ** -a for a in (0.2, 0.5, 1.0, 2.0, 5.0))


@pytest.mark.parametrize("kernel", ["gaussian", "rational quadratic"])
def test_kernels_by_name(kernel):
    x, y = features(40, 6), features(50, 6, 1) * 1.5 + 0.5
    xx, yy, xy = (by_definition(*pair, kernel) for pair in ((x, x), (y, y), (x, y)))
    biased = float(xx.mean() + yy.mean() - 2 * xy.mean())
    assert kernel_distance(x, y, kernel, biased=True) == pytest.approx(biased, rel=1e-9)
    unbiased = (xx.sum() - xx.trace()) / (40 * 39) + (yy.sum() - yy.trace()) / (50 * 49) - 2 * xy.mean()
    assert kernel_distance(x, y, kernel) == pytest.approx(float(unbiased), rel=1e-9)
    found = kernel_inception_distance(x, y, seed=0, subsets=30, subset_size=20, kernel=kernel)
    assert found.mean == pytest.approx(float(unbiased), rel=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("name", recipes.THREES)
def test_the_cubic_kernel_is_dgm_evals(name):
    case = recipes.three(name)
    fewest = min(len(case.training), len(case.generated))
    found = kernel_distance(case.generated[:fewest].double(), case.training[:fewest].double())
    # Its sums are float32, of numbers of the size of 1.
    assert found == pytest.approx(case.recorded["dgm_eval"]["kd_first_min(n)_rows_unbiased"], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", recipes.THREES)
def test_the_gaussian_kernel_is_cmmds(name):
    case = recipes.three(name)
    recorded = case.recorded["cmmd_sigma10_scale1000"]
    unit = [rows.double() / rows.double().norm(dim=1, keepdim=True) for rows in (case.generated, case.training)]
    found = 1000 * kernel_distance(*unit, "gaussian", biased=True)
    assert found == pytest.approx(recorded["unit_norm_float64"], rel=1e-9)
    raw = 1000 * kernel_distance(case.generated, case.training, "gaussian", biased=True)
    assert raw == pytest.approx(recorded["raw_float64"], rel=1e-9)


def test_blocks_add_up_to_all_pairs(monkeypatch):
    x, y = features(23, 4), features(17, 4, 1) + 1
    whole = kernel_distance(x, y)
    assert whole == pytest.approx(pair_by_pair(x, y), rel=1e-6)
    monkeypatch.setattr(kernel, "_BLOCK", 5)
    assert kernel_distance(x, y) == pytest.approx(whole, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("subsets", [1, 40])
def test_subsets_are_estimates_of_their_own_samples(subsets):
    """One subset is computed alone; many together."""
    x, y = features(60, 4), features(50, 4, 1) + 1
    generator = torch.Generator().manual_seed(0)
    picks = [
        torch.stack([torch.randperm(count, generator=generator)[:20] for _ in range(subsets)]) for count in (60, 50)
    ]
    found = subset_distances(x, y, *picks)
    for estimate, a, b in zip(found, *picks, strict=True):
        assert float(estimate) == pytest.approx(kernel_distance(x[a], y[b]), rel=1e-5)


def test_the_mean_over_subsets_is_near_the_estimate_of_all():
    x, y = features(300, 6), features(300, 6, 1) + 0.5
    found = kernel_inception_distance(x, y, seed=0, subsets=50, subset_size=100, with_all_samples=True)
    assert found.mean == pytest.approx(found.all_samples, rel=0.1)
    assert found.subset_size == 100
    assert len(found.subsets) == 50
    assert found.std == pytest.approx(float(found.subsets.std(correction=0)))
    assert kernel_inception_distance(x, y, seed=0, subsets=2, subset_size=9).all_samples is None


def test_it_is_near_zero_for_two_draws_of_one_distribution():
    x, y = features(400, 8), features(400, 8, 1)
    assert abs(kernel_distance(x, y)) < 0.02 < kernel_distance(x, 2 * y)


def test_subsets_depend_on_the_seed_alone():
    x, y = features(60, 4), features(50, 4, 1)
    first, again = (kernel_inception_distance(x, y, seed=3, subsets=5, subset_size=20) for _ in range(2))
    assert torch.equal(first.subsets, again.subsets)
    other = kernel_inception_distance(x, y, seed=4, subsets=5, subset_size=20)
    assert not torch.equal(first.subsets, other.subsets)


@pytest.mark.parametrize("size", [1, 51])
def test_a_subset_that_cannot_be_drawn_is_refused(size):
    with pytest.raises(BadInput, match="at least 2 and at most 50"):
        kernel_inception_distance(features(60, 4), features(50, 4), seed=0, subset_size=size)


def test_values_that_are_not_numbers_and_other_dimensions_are_refused():
    broken = features(9, 3)
    broken[1, 1] = torch.inf
    with pytest.raises(BadInput, match="reference: 1 values are NaN or infinite"):
        kernel_distance(features(9, 3), broken)
    with pytest.raises(BadInput, match="2 dimensions do not compare with 3"):
        kernel_distance(features(9, 3), features(9, 2))
