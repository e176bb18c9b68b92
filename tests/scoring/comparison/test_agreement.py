"""Kendall's tau against SciPy's documented example, and at its ends."""

import math

import pytest
from trilemma.models.scoring.comparison.agreement import kendall


def test_tau_and_p_are_those_of_scipys_example_with_ties():
    found = kendall([12, 2, 1, 12, 2], [1, 4, 7, 1, 0])
    assert found.tau == pytest.approx(-0.47140452079103173, rel=1e-12)
    assert found.p == pytest.approx(0.2827454599327748, rel=1e-9)
    assert found.count == 5


def test_ends_and_what_orders_nothing():
    assert kendall([1, 2, 3], [10, 20, 30]).tau == 1
    assert kendall([1, 2, 3], [3, 2, 1]).tau == -1
    assert kendall([1, 2, math.nan], [3, 2, 1]) == kendall([1, 2], [3, 2])
    assert math.isnan(kendall([1, 1, 1], [1, 2, 3]).tau)
    assert math.isnan(kendall([], []).tau)
