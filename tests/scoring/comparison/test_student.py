"""Student's t distribution against its printed tables."""

import math

import pytest
from trilemma.models.scoring.comparison.student import reach, two_sided


@pytest.mark.parametrize(
    ("freedom", "printed"), [(1, 12.706), (2, 4.3027), (4, 2.7764), (10, 2.2281), (30, 2.0423), (math.inf, 1.95996)]
)
def test_reach_and_tail_are_those_of_the_table(freedom, printed):
    assert reach(0.95, freedom) == pytest.approx(printed, rel=1e-4)
    assert two_sided(printed, freedom) == pytest.approx(0.05, rel=1e-3)
    assert two_sided(-printed, freedom) == two_sided(printed, freedom)
    assert two_sided(0.0, freedom) == pytest.approx(1.0)
