"""What of a mask counts: dust, soft edges, white that was rounded on the way."""

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.pictures.dust import report_dust, without_dust

VALUES = torch.tensor([[0.0, 4.6e-5, 1 / 255, 0.09, 0.1, 0.5, 0.99, 254 / 255, 255 / 256, 1.0]])


def test_dust_is_black_white_is_white_and_a_feather_stays():
    expected = torch.tensor([[[0.0, 0.0, 0.0, 0.0, 0.1, 0.5, 0.99, 1.0, 1.0, 1.0]]])
    assert torch.equal(without_dust(VALUES), expected)


def test_the_threshold_is_the_users():
    assert without_dust(VALUES, 0.0)[0, 0].count_nonzero() == 9
    assert without_dust(VALUES, 0.5)[0, 0].count_nonzero() == 5
    assert without_dust(VALUES, 1.0)[0, 0].tolist() == [0.0] * 7 + [1.0] * 3


def test_what_is_left_out_is_told():
    assert report_dust(VALUES) == (
        "mask: 3 of 10 values lie below mask_threshold 0.1 (the greatest is 0.09) and count as 0; lower mask_threshold "
        "where they are meant."
    )
    assert report_dust(VALUES, 0.0) == ""
    assert report_dust(torch.zeros(1, 64, 64)) == ""


def test_half_precision_and_bad_masks():
    assert without_dust(VALUES.half()).dtype == torch.float32
    with pytest.raises(BadInput, match="NaN"):
        without_dust(torch.full((4, 4), torch.nan))
