"""Shift and scale between an original and an edit are found to a fraction of a pixel."""

import pytest
import torch
from trilemma.models.pictures.restoration.placement import SAME, Placement, covered, sample
from trilemma.models.pictures.restoration.registration import register
from trilemma.tests.pictures.restoration.drifts import corner_error, drift, levels, picture, shift_error


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "edit"),
    [
        ((128, 160), None),
        ((64, 80), None),
        ((192, 256), (256, 320)),
        ((240, 320), (256, 256)),
        ((200, 200), (100, 100)),
    ],
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shift_and_scale_are_found(size, edit, seed):
    given = drift(seed, *size, edit)
    found = register(given.original, given.edited)
    assert shift_error(found, given.place) < 0.1
    assert corner_error(found, given.place, *size) < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("shift", [(8.0, -8.0), (0.37, 0.81), (-7.5, 0.0)])
def test_a_mere_shift_is_found(shift):
    rng = torch.Generator().manual_seed(4)
    scene = picture(rng, 160, 200)
    edited = sample(scene, 160, 200, Placement(-shift[0], -shift[1]))
    assert corner_error(register(levels(scene), levels(edited)), Placement(*shift), 160, 200) < 0.1


@pytest.mark.slow
def test_an_edit_that_was_cut_to_another_shape_is_found():
    """128 x 128 from the middle of 160 x 128: nothing is stretched, but stretched is how it comes."""
    scene = levels(picture(torch.Generator().manual_seed(1), 128, 160))
    found = register(scene, scene[:, :, 16:144])
    assert corner_error(found, Placement(0, 0, 160 / 128, 1), 128, 160) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.3, 0.6])
def test_what_changed_does_not_lead_astray(share):
    given = drift(11, 192, 240)
    other = picture(torch.Generator().manual_seed(1), 192, 240).flip(2)
    edited = given.edited.clone()
    edited[:, :, : int(240 * share)] = other[:, :, : int(240 * share)]
    assert shift_error(register(given.original, edited), given.place) < 0.3


@pytest.mark.parametrize("value", [0.5, 0.0])
def test_what_shows_nothing_stays(value):
    flat = torch.full((3, 64, 80), value)
    assert register(flat, flat * 0.9) == SAME
    assert register(torch.rand(3, 5, 7), torch.rand(3, 5, 7)) == SAME


@pytest.mark.slow
def test_the_same_picture_stays():
    scene = picture(torch.Generator().manual_seed(2), 100, 120)
    assert register(scene, scene) == SAME
    assert register(scene, (scene * 0.8 + 0.1).clamp(0, 1)) == SAME


def test_a_place_of_whole_pixels_gives_the_very_same_values():
    scene = torch.rand(3, 20, 30)
    assert torch.equal(sample(scene, 20, 30), scene)
    moved = sample(scene, 20, 30, Placement(3, -2))
    assert torch.equal(moved[:, 2:, :27], scene[:, :18, 3:])
    inside = covered((20, 30), 20, 30, Placement(3, -2))
    assert int(inside.sum()) == 18 * 27
    assert bool(inside[2:, :27].all())


def test_a_smooth_picture_is_sampled_between_its_pixels():
    x = torch.arange(60.0)
    wave = (0.5 + 0.4 * torch.sin(x / 7)).expand(3, 40, 60)
    expected = 0.5 + 0.4 * torch.sin((x + 0.3) / 7)
    assert torch.allclose(sample(wave, 40, 60, Placement(0.3, 0.6))[:, :, 3:-3], expected[3:-3], atol=2e-4)
