"""Pictures at other sizes: what `crop` makes of extreme sizes is the middle of the whole, without the whole."""

import pytest
import torch
from trilemma.models.pictures.resizing import centred, fit, resize


@pytest.mark.parametrize(("found", "wanted"), [((40, 30), (6, 400)), ((31, 33), (300, 7)), ((200, 9), (50, 50))])
def test_the_middle_of_a_strip_is_that_of_the_whole_picture(found, wanted):
    picture = torch.rand(*found, 3, generator=torch.Generator().manual_seed(0))
    scale = max(wanted[0] / found[0], wanted[1] / found[1])
    whole = resize(picture, round(found[0] * scale), round(found[1] * scale))
    assert whole.shape[0] * whole.shape[1] > 4 * wanted[0] * wanted[1]

    cut = fit(picture, *wanted, "crop")

    assert cut.shape == (*wanted, 3)
    assert torch.allclose(cut, centred(whole, *wanted), rtol=0, atol=1e-4)


def test_a_strip_takes_no_square_of_its_length():
    """As a whole it would be 12 GB."""
    picture = torch.rand(32, 32, 1)
    assert fit(picture, 8, 2**15, "crop").shape == (8, 2**15, 1)
