"""FLD against its authors' package, and what it says of copies."""

import numpy as np
import pytest
import torch
from trilemma.models.scoring.metrics.likelihood import Mixture, baseline, likelihood_divergence, scaled
from trilemma.tests.scoring import recipes

pytestmark = pytest.mark.slow
PUBLISHED = 1.2861071825
"""The baseline that the package knows of CIFAR-10 by DINOv2."""


def both(case):
    """Of the mixture around generated rows: L of training rows, L of held-out rows, and the scaled sets."""
    ours, known, theirs = scaled(case.generated, case.training, case.held_out)
    mixture = Mixture.fitted(ours, known)
    return mixture.negative_log_likelihood(known), mixture.negative_log_likelihood(theirs), known, theirs


@pytest.mark.parametrize("name", [name for name in recipes.THREES if name != "exact_copy_d16"])
def test_it_is_the_packages(name):
    case = recipes.three(name)
    recorded = case.recorded["fld_np_and_torch_seed_0"]
    seen, unseen, known, theirs = both(case)
    # Its distances are float32 and squared roots.
    near = {"rel": 1e-4, "abs": 1e-3}
    assert 100 * (seen - unseen) == pytest.approx(recorded["FLD_gap"], **near)
    assert 100 * (unseen - PUBLISHED) == pytest.approx(recorded["FLD_test_baseline_1.2861071825"], **near)
    # Before it halves the training rows the package shuffles them once for the fit.
    draws = np.random.RandomState(0)
    order = [draws.choice(len(known), len(known), replace=False) for _ in range(2)][1]
    halves = baseline(known, theirs, torch.from_numpy(order), len(case.generated))
    assert 100 * (unseen - halves) == pytest.approx(recorded["FLD_test"], rel=2e-3)


def test_exact_copies_explode():
    """Rounding alone decides how far."""
    case = recipes.three("exact_copy_d16")
    assert case.recorded["fld_np_and_torch_seed_0"]["FLD_test"] > 1e6
    found = likelihood_divergence(case.generated, case.training, case.held_out, 0)
    assert found.value > 1e6
    assert found.gap < -1e6


def test_it_depends_on_the_seed_alone_and_grows_with_the_distance():
    sets = [torch.randn(150, 24, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    found = [likelihood_divergence(sets[0] + shift, sets[1], sets[2], 1).value for shift in (0, 0, 0.5, 1)]
    assert found[0] == found[1]
    assert found[1] < found[2] < found[3]
    assert likelihood_divergence(*sets, 2).value != found[0]


def test_a_dimension_without_spread_is_harmless():
    sets = [torch.randn(60, 8, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    for each in sets:
        each[:, 3] = 5
    assert np.isfinite(likelihood_divergence(*sets, 0).value)
