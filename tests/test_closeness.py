import numpy as np
import pytest
import torch
from trilemma.tests.closeness import are_distinct, assert_close, assert_same_masks, is_close


def test_the_largest_value_is_the_measure():
    expected = torch.tensor([[0.0, 1.0], [-200.0, 3.0]])
    assert_close(expected + 0.0019, expected)
    assert_close((expected + 0.0019).numpy(), expected)
    with pytest.raises(
        AssertionError, match=r"-199\.9978\d* and not -200 at \[1, 0\].*largest value 200.*4 of 4 are off"
    ):
        assert_close(expected + 0.0021, expected, 1e-5)
    assert is_close(expected + 0.0021, expected, relative=2e-5)


def test_shapes_are_equal():
    with pytest.raises(AssertionError, match=r"shape \(1, 3\) and not \(3,\)"):
        assert_close(torch.ones(1, 3), np.ones(3))
    assert_close(torch.ones(0, 3), torch.ones(0, 3))


def test_nothing_is_close_to_none():
    assert_close(torch.zeros(3), torch.zeros(3))
    with pytest.raises(AssertionError, match="inf of the largest value 0"):
        assert_close(torch.tensor([0.0, 1e-30]), torch.zeros(2))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_not_close(value):
    odd = torch.tensor([1.0, value])
    for actual, expected in ((odd, odd), (odd, torch.ones(2)), (torch.ones(2), odd)):
        with pytest.raises(AssertionError):
            assert_close(actual, expected)


def test_rows_are_distinct_by_more_than_rounding():
    batch = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 2e-4]])
    assert are_distinct(batch)
    assert not are_distinct(batch, relative=1e-3)


def test_masks_are_the_same_but_for_their_edge():
    mask = torch.zeros(100, 100, dtype=torch.bool)
    edge = mask.clone()
    edge[0, :10] = True
    assert_same_masks(edge.numpy(), mask)
    edge[1, 0] = True
    with pytest.raises(AssertionError, match=r"0\.11% of the pixels are on the other side, and 0\.10% may be"):
        assert_same_masks(edge, mask)
    with pytest.raises(AssertionError, match="shape"):
        assert_same_masks(edge, mask[1:])
