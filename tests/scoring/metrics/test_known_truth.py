"""Distances to the manifold of triangles against closed forms, and precision and recall against what was drawn."""

import math

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.pictures.triangles import FAULTS, drawn, paint
from trilemma.models.scoring.metrics.known_truth import as_scores, describe, nearest_triangles, truth

CORNERS = torch.tensor([[[4.3, 5.1], [22.8, 8.2], [9.6, 23.4]]], dtype=torch.float64)


def images(pictures):
    return pictures[..., None].expand(-1, -1, -1, 3)


def squares(pictures):
    return nearest_triangles(images(pictures)).squares


def test_a_triangles_picture_lies_on_the_manifold_and_gives_its_corners_back():
    found = nearest_triangles(images(paint(CORNERS, 28, 28)))
    assert float(found.squares) < 1e-9
    turns = [float((found.corners - CORNERS.roll(shift, dims=1)).abs().max()) for shift in range(3)]
    assert min(turns) < 1e-3


def test_one_wrong_pixel_is_one_away():
    """Also where it is the brightest place far from the triangle, at which the first start would begin."""
    pictures = paint(CORNERS, 28, 28).repeat(3, 1, 1)
    pictures[0, 25, 25], pictures[1, 11, 11], pictures[2, 1, 26] = 1, 0, 0.5
    assert squares(pictures).tolist() == pytest.approx([1, 1, 0.25], abs=1e-3)


def test_eight_bits_stay_on_it_and_turns_and_mirrors_change_nothing():
    pictures = (drawn(12, 28, 0, 0.5, "hole").pictures * 255).round() / 255
    found = squares(pictures)
    assert found[~drawn(12, 28, 0, 0.5).faulty].max() < 0.002
    for other in (pictures.rot90(1, (1, 2)), pictures.flip(2), pictures.transpose(1, 2)):
        assert squares(other) == pytest.approx(found, rel=0.02, abs=1e-3)


def test_colour_counts_by_its_distance_from_grey():
    coloured = images(paint(CORNERS, 28, 28)) + torch.tensor([0.02, -0.02, 0.0])
    assert float(nearest_triangles(coloured).squares) == pytest.approx(28 * 28 * 2 * 0.02**2 / 3, rel=1e-6)


@pytest.mark.slow
def test_noise_is_as_far_as_six_fitted_numbers_let_it_be():
    """Of P values with the variance s^2, of which a triangle's six corner places take up six: s^2 (P - 6)."""
    noise = 0.05 * torch.randn(60, 28, 28, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = squares(paint(CORNERS, 28, 28) + noise)
    expected = 0.05**2 * (28 * 28 - 6)
    assert float(found.mean()) == pytest.approx(expected, abs=4 * 0.05**2 * math.sqrt(2 * 28 * 28 / 60))


def test_neither_black_nor_white_is_a_triangle():
    """The largest triangle of a square covers half of it; the smallest that counts is no black picture."""
    black, white = squares(torch.stack([torch.zeros(28, 28), torch.ones(28, 28)])).tolist()
    assert 0.75 < black < 6
    assert white == pytest.approx(28 * 28 / 2, rel=0.05)
    assert truth(images(torch.zeros(2, 28, 28))).recall == 0


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("side", [24, 28, 48])
def test_what_was_drawn_is_what_is_found(side, fault):
    made = drawn(120, side, 20, 0.3, fault, 4)
    found = truth(images(made.pictures))
    assert torch.equal(found.nearest.squares >= found.delta, made.faulty)
    assert (found.precision.value, found.recall) == pytest.approx((0.7, 0.6))
    # What it was before the fault is seldom nearer, and never much.
    own = (paint(made.corners, side, side) - made.pictures).square().sum(dim=(1, 2))
    assert (found.nearest.squares > own + 0.01).sum() <= 4
    assert (found.nearest.squares <= 1.5 * own + 0.01).all()


def test_scores_say_what_they_are_of():
    found = truth(images(drawn(40, 28, 0, 0.25, "hole").pictures))
    precision, recall = as_scores(found)
    assert (precision.metric, precision.value, recall.metric) == ("known_precision", 0.75, "known_recall")
    assert 0.55 < precision.low < 0.75 < precision.high < 0.9
    assert "warning: few pictures (40)" in recall.note
    assert "known precision: 75.0% of 40 pictures" in describe(found)


@pytest.mark.parametrize(
    ("given", "delta", "message"),
    [
        (torch.zeros(1, 8, 28, 3), 0.75, "16 to 256 pixels a side"),
        (torch.zeros(1, 16, 300, 3), 0.75, "16 to 256 pixels a side"),
        (torch.zeros(0, 28, 28, 3), 0.75, "empty"),
        (torch.full((1, 28, 28, 3), math.nan), 0.75, "NaN or infinite"),
        (torch.zeros(1, 28, 28, 3), math.nan, "delta"),
    ],
)
def test_what_cannot_be_scored_is_named(given, delta, message):
    with pytest.raises(BadInput, match=message):
        truth(given, delta)
