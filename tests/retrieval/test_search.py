"""Exact search, against the whole matrix of products."""

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.retrieval.search import nearest, unit_rows


def unit(count, size=12, seed=0):
    return unit_rows(torch.randn(count, size, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("queries", [1, 3, 300])
@pytest.mark.parametrize("block", [1, 7, 64, 1000])
def test_blocks_find_what_the_whole_product_finds(queries, block):
    rows, asked = unit(101), unit(queries, seed=1)
    found = nearest(rows, asked, 5, block=block)
    expected = (asked.double() @ rows.double().T).topk(5, dim=1)
    assert torch.equal(found.places, expected.indices)
    torch.testing.assert_close(found.scores.double(), expected.values, rtol=0, atol=1e-6)


def test_rows_that_are_left_out_are_never_found():
    rows = unit(20)
    left_out = torch.zeros(20, dtype=torch.bool)
    left_out[nearest(rows, rows[:1], 10).places[0]] = True
    found = nearest(rows, rows[:1], 50, left_out)
    assert sorted(found.places[0].tolist()) == (~left_out).nonzero().flatten().tolist()


def test_equal_rows_come_in_their_order():
    rows = unit(4)[[0, 1, 0, 2, 0, 3]]
    found = nearest(rows, rows[:1], 3)
    assert found.places.tolist() == [[0, 2, 4]]
    torch.testing.assert_close(found.scores, torch.ones(1, 3))


def test_a_row_of_zeros_is_like_nothing():
    rows = torch.cat([unit(3), torch.zeros(1, 12)])
    found = nearest(rows, rows[:1], 4)
    assert float(found.scores[found.places == 3]) == 0


def test_queries_that_do_not_fit_are_refused():
    with pytest.raises(BadInput, match="index: its pictures have 12 features and the query 8"):
        nearest(unit(3), unit(1, size=8), 1)
    with pytest.raises(BadInput, match="no numbers"):
        nearest(unit(3), torch.full((1, 12), torch.nan), 1)
