"""Triangles of a known manifold: how they are painted, where they lie, and that a sample is its seed's alone."""

import pytest
import torch
from trilemma.models.pictures.triangles import (
    FAULTS,
    FROM_CENTRE,
    MODES,
    SLIMMEST,
    areas,
    drawn,
    inscribed_radii,
    modes,
    paint,
)


def polygon(*corners):
    return torch.tensor([corners], dtype=torch.float64)


def test_an_upright_square_is_painted_exactly():
    picture = paint(polygon((4, 4), (12, 4), (12, 12), (4, 12)), 16, 20)[0]
    expected = torch.zeros(16, 20, dtype=torch.float64)
    expected[4:12, 4:12] = 1
    assert torch.equal(picture, expected)


def test_an_edge_through_pixels_is_grey_by_its_place():
    picture = paint(polygon((4.25, 4), (12, 4), (12, 12), (4.25, 12)), 16, 16)[0]
    assert picture[8, 3:6].tolist() == pytest.approx([0, 0.75, 1])
    soft = paint(polygon((4.25, 4), (12, 4), (12, 12), (4.25, 12)), 16, 16, softness=4)[0]
    assert soft[8, 2:6].tolist() == pytest.approx([0.5 + (x - 4.25) / 4 for x in (2.5, 3.5, 4.5, 5.5)])


def test_a_triangle_has_its_area_and_its_inscribed_circle():
    corners = polygon((2, 2), (50, 2), (2, 38))
    assert float(areas(corners)) == 864 and float(areas(corners.flip(1))) == -864
    assert float(inscribed_radii(corners)) == pytest.approx(12)  # of sides 36, 48, 60
    assert float(paint(corners, 60, 60).sum()) == pytest.approx(864, rel=0.005)


def test_a_sample_is_its_seeds_alone():
    many, one = drawn(6, 28, 3), drawn(1, 28, 7)
    assert torch.equal(many.pictures[4], one.pictures[0]) and torch.equal(many.corners[4], one.corners[0])
    assert drawn(2, 28, 2**64 - 1).corners[1].equal(drawn(1, 28, 0).corners[0])


@pytest.mark.parametrize("fault", FAULTS)
def test_the_fault_is_in_exactly_so_many_and_in_nothing_else(fault):
    whole, faulty = drawn(20, 28, 5), drawn(20, 28, 5, 0.3, fault)
    assert faulty.faulty.sum() == 6 and faulty.faulty[:10].sum() == 3
    same = (faulty.pictures == whole.pictures).flatten(1).all(dim=1)
    assert torch.equal(same, ~faulty.faulty)
    assert faulty.pictures.min() >= 0 and faulty.pictures.max() <= 1
    assert drawn(3, 28, 5, 1.0, fault).faulty.all() and not drawn(3, 28, 5, 0.0, fault).faulty.any()


@pytest.mark.slow
@pytest.mark.parametrize("left_out", [0, 3, 9])
def test_modes_have_even_shares_of_what_is_left(left_out):
    found = drawn(600, 32, 11, modes_left_out=left_out).corners
    counts = torch.bincount(modes(found, 32, 32), minlength=MODES)
    kept, expected = MODES - left_out, 600 / (MODES - left_out)
    assert counts[kept:].sum() == 0
    assert (counts[:kept] - expected).abs().max() <= 4 * expected**0.5
    assert inscribed_radii(found).min() >= 32 * SLIMMEST - 1e-9
    assert (found.mean(dim=1) - 16).norm(dim=1).min() >= 32 * FROM_CENTRE - 1e-9
    assert (found - 16).norm(dim=2).max() <= 15 + 1e-9
