"""The algorithms that the benchmarks compare with give what the packages themselves gave."""

import pytest
from trilemma.tests.benchmarks import score_references as references
from trilemma.tests.benchmarks.scores import compare_fid_of_rows, compare_kid, compare_neighbours
from trilemma.tests.scoring import recipes


def test_fid_is_that_of_torch_fidelity_and_pytorch_fid():
    case = recipes.case("n500_d64")
    statistics = (*references.statistics(case.fake.numpy()), *references.statistics(case.real.numpy()))
    recorded = case.recorded["fid"]
    assert references.fid_by_eigenvalues(*statistics) == pytest.approx(recorded["torch_fidelity"], rel=1e-10)
    assert references.fid_by_matrix_root(*statistics) == pytest.approx(recorded["pytorch_fid"], rel=1e-10)


@pytest.mark.slow
def test_kid_is_that_of_torch_fidelity():
    case = recipes.case("n500_d64")
    found = references.kid(case.fake.numpy(), case.real.numpy(), case.subsets, case.subset_size, 2020)
    recorded = case.recorded["kid"]["torch_fidelity rng_seed=2020 subsets=100 arg order (fake,real)"]
    assert found.mean() == pytest.approx(recorded["kernel_inception_distance_mean"], rel=1e-6)
    assert found.std() == pytest.approx(recorded["kernel_inception_distance_std"], rel=1e-5)


@pytest.mark.parametrize(("k", "library"), [(5, "prdc nearest_k=5 float32 (strict <)"), (3, "prdc nearest_k=3")])
def test_neighbours_are_those_of_prdc(k, library):
    case = recipes.case("n500_d64")
    assert references.prdc(case.real.numpy(), case.fake.numpy(), k) == pytest.approx(
        case.recorded["prdc"][library], rel=1e-12
    )


@pytest.mark.slow
def test_the_comparisons_run_on_small_sets():
    real, fake, _ = recipes.normal_features(40, 64, 0)
    assert compare_fid_of_rows(fake, real).ratio > 0
    assert compare_kid(fake, real, subsets=5, subset_size=20).ratio > 0
    times, peaks = compare_neighbours(fake, real)
    assert times.ratio > 0
    assert peaks.reference > 0
