"""Precision, recall, density and coverage against prdc's and torch-fidelity's answers, and by all distances."""

import numpy as np
import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.scoring.metrics import neighbours as module
from trilemma.models.scoring.metrics.neighbours import neighbours
from trilemma.tests.peak_memory import peak_bytes
from trilemma.tests.scoring import recipes

CASES = ["n500_d64", "n500_d2048_rank_deficient"]


def features(count: int, size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def distances(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.sqrt((x[:, None].double() - y[None].double()).square().sum(dim=2).to(x.dtype).numpy()))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    ("k", "dtype", "library"),
    [
        (5, torch.float32, "prdc nearest_k=5 float32 (strict <)"),
        (3, torch.float32, "prdc nearest_k=3"),
        (5, torch.float64, "prdc nearest_k=5 float64"),
    ],
)
def test_it_is_identical_to_prdc(name, k, dtype, library):
    case = recipes.case(name)
    found = neighbours(case.fake.to(dtype), case.real.to(dtype), k)
    recorded = case.recorded["prdc"][library]
    assert (found.precision, found.recall, found.coverage) == tuple(
        recorded[metric] for metric in ("precision", "recall", "coverage")
    )
    assert found.density == pytest.approx(recorded["density"], rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("k", [3, 5])
def test_it_agrees_with_torch_fidelity(k):
    case = recipes.case("n500_d64")
    recorded = next(value for library, value in case.recorded["prdc"].items() if f"neighborhood={k}" in library)
    found = neighbours(case.fake, case.real, k)
    assert found.precision == pytest.approx(recorded["precision"], abs=1e-7)
    assert found.recall == pytest.approx(recorded["recall"], abs=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("block", [7, 1024])
@pytest.mark.parametrize("offset", [0, 1000])
def test_every_sample_is_as_all_distances_say(monkeypatch, block, offset):
    monkeypatch.setattr(module, "_BLOCK", block)
    monkeypatch.setattr(module, "_PAIRS", 5)
    fake, real = features(40, 6) + offset, features(30, 6, 1) * 1.2 + offset
    found = neighbours(fake, real, k=3)
    between = distances(real, fake)
    real_radii, fake_radii = (distances(x, x).kthvalue(4, dim=1).values for x in (real, fake))
    assert torch.equal(found.reference_radii, real_radii)
    assert torch.equal(found.generated_radii, fake_radii)
    inside = between < real_radii[:, None]
    assert torch.equal(found.memberships, inside.sum(dim=0))
    assert torch.equal(found.covered, inside.any(dim=1))
    assert torch.equal(found.recalled, (between < fake_radii).any(dim=1))
    torch.testing.assert_close(found.distances, between.amin(dim=0), rtol=1e-6, atol=0)
    assert torch.equal(found.distances, between[found.nearest, torch.arange(40)])


def test_ties_are_not_inside():
    """On a grid many distances equal a radius exactly."""
    grid = torch.cartesian_prod(*[torch.arange(4.0)] * 3)
    shifted = grid + torch.tensor([1.0, 0, 0])
    found = neighbours(shifted, grid, k=2)
    between = distances(grid, shifted)
    radii = distances(grid, grid).kthvalue(3, dim=1).values
    assert torch.equal(found.memberships, (between < radii[:, None]).sum(dim=0))


def test_a_set_that_is_the_reference_has_everything():
    real = features(50, 4)
    found = neighbours(real, real)
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    assert torch.equal(found.nearest, torch.arange(50))
    assert found.distances.eq(0).all()


def test_a_collapsed_generator_recalls_nothing():
    real = features(60, 4)
    found = neighbours(real[:1].repeat(60, 1), real)
    assert found.precision == 1
    assert found.recall == 0
    assert found.coverage <= 0.5
    assert found.generated_radii.eq(0).all()


def test_equal_samples_are_at_no_distance():
    same = torch.full((20, 5), 3.0)
    found = neighbours(same, same)
    assert (found.precision, found.recall, found.density, found.coverage) == (0, 0, 0, 0)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_closed_neighbourhoods_hold_equal_samples_as_the_paper_defines(k):
    same = torch.full((k + 1, 5), 3.0)
    found = neighbours(same, same, k, "closed")
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    assert found.density == (k + 1) / k
    grid = torch.cartesian_prod(*[torch.arange(4.0)] * 3)
    shifted = grid + torch.tensor([1.0, 0, 0])
    found = neighbours(shifted, grid, k, "closed")
    radii = distances(grid, grid).kthvalue(k + 1, dim=1).values
    assert torch.equal(found.memberships, (distances(grid, shifted) <= radii[:, None]).sum(dim=0))


@pytest.mark.slow
@pytest.mark.parametrize("size", [64, 512])
def test_distances_are_rounded_to_the_nearest_as_prdcs(size):
    """torch's own square roots are not, so that a distance could fall on the other side of a radius."""
    real, fake = features(300, size).relu(), features(300, size, 1).relu()
    found = neighbours(fake, real)
    squares = ((real[:, None].double() - real[None].double()) ** 2).sum(dim=2).float()
    expected = np.partition(np.sqrt(squares.numpy()), 5, axis=1)[:, 5]
    assert np.array_equal(found.reference_radii.numpy(), expected)


def test_a_far_set_is_outside():
    found = neighbours(features(20, 4) + 100, features(20, 4))
    assert (found.precision, found.recall, found.density, found.coverage) == (0, 0, 0, 0)


def test_near_copies_are_told_apart(monkeypatch):
    """Clusters far tighter than float32 products resolve: every decision falls back to exact distances."""
    monkeypatch.setattr(module, "_BLOCK", 16)
    centres = features(4, 8) * 100
    real, fake = (centres.repeat(10, 1) + 1e-3 * features(40, 8, seed) for seed in (1, 2))
    found = neighbours(fake, real, k=3)
    radii = distances(real, real).kthvalue(4, dim=1).values
    assert torch.equal(found.reference_radii, radii)
    assert torch.equal(found.memberships, (distances(real, fake) < radii[:, None]).sum(dim=0))


@pytest.mark.slow
def test_memory_grows_with_the_samples_not_with_their_pairs(monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 64)
    few, many = features(250, 4), features(1000, 4)
    peaks = [peak_bytes(lambda x=rows: neighbours(x, x + 1)) for rows in (few, many)]
    assert peaks[1] < 5 * peaks[0]


def test_too_few_samples_are_refused():
    with pytest.raises(BadInput, match="reference: features of 5 samples are too few; give at least 6"):
        neighbours(features(9, 3), features(5, 3))
    with pytest.raises(BadInput, match="k: 0"):
        neighbours(features(9, 3), features(9, 3), k=0)


def test_values_that_are_not_numbers_and_other_dimensions_are_refused():
    broken = features(9, 3)
    broken[1, 1] = torch.nan
    with pytest.raises(BadInput, match="generated: 1 values are NaN or infinite"):
        neighbours(broken, features(9, 3))
    with pytest.raises(BadInput, match="2 dimensions do not compare with 3"):
        neighbours(features(9, 3), features(9, 2))


@pytest.mark.slow
def test_prdcs_published_example():
    """Two draws of N(0, I), 10,000 x 1,000; of two seeds the four differ by 0.011, 0.019, 0.1 and 0.006."""
    generator = torch.Generator().manual_seed(0)
    reference, generated = (torch.randn(10_000, 1000, generator=generator) for _ in range(2))
    found = neighbours(generated, reference, 5)
    assert found.precision == pytest.approx(0.4772, abs=0.03)
    assert found.recall == pytest.approx(0.4705, abs=0.03)
    assert found.density == pytest.approx(1.0555, abs=0.1)
    assert found.coverage == pytest.approx(0.9735, abs=0.01)
