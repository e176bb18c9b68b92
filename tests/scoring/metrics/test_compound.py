"""Compound FID: scaled by dimensions, the largest counts."""

import pytest
from trilemma.models.errors import BadInput
from trilemma.models.scoring.metrics.compound import compound_distance


def test_it_is_the_largest_of_the_scaled_distances():
    found = compound_distance([2.0, 1.0, 30.0], [64, 192, 2048])
    assert found.levels == pytest.approx((64.0, 2048 / 192, 30.0))
    assert found.value == pytest.approx(64)


def test_the_last_level_of_inception_is_fid_itself():
    assert compound_distance([12.5], [2048]).value == 12.5


def test_a_smaller_network_scales_to_its_own_last_layer():
    assert compound_distance([1.0, 3.0], [32, 128], target=128).levels == (4.0, 3.0)


@pytest.mark.parametrize(("distances", "sizes"), [([], []), ([1.0], [64, 192])])
def test_every_distance_needs_its_size(distances, sizes):
    with pytest.raises(BadInput, match="one size for each"):
        compound_distance(distances, sizes)
