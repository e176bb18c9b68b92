"""Intervals of shares, against published values, and that they hold."""

import math

import pytest
import torch
from trilemma.models.scoring.metrics.shares import mean_of, share


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval(right, count, low, high):
    """Newcombe 1998, Statistics in Medicine 17, table I, method 3."""
    found = share([True] * right + [False] * (count - right))
    assert found.value == right / count
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))
    mirrored = share([False] * right + [True] * (count - right))
    assert (mirrored.low, mirrored.high) == (pytest.approx(1 - found.high), pytest.approx(1 - found.low))


def test_the_mean_weighs_kinds_alike():
    found = mean_of([share([True] * 30), share([False] * 2)])
    assert found.value == 0.5 and found.count == 32
    assert 0 < found.low < 0.5 < found.high < 1


def test_the_mean_of_many_alike_has_the_error_of_their_pictures():
    shares = [share([True] * 40 + [False] * 60)] * 6
    error = math.sqrt(0.4 * 0.6 / 600)
    found = mean_of(shares)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.03)


@pytest.mark.slow
def test_the_mean_is_in_its_interval_as_often_as_is_said():
    drawing = torch.Generator().manual_seed(0)
    truth, hits = [0.97, 0.38, 0.35, 0.76, 0.04, 0.06], 0
    for _ in range(400):
        outcomes = [(torch.rand(20, generator=drawing) < each).tolist() for each in truth]
        found = mean_of([share(each) for each in outcomes])
        hits += found.low <= sum(truth) / 6 <= found.high
    assert 0.92 <= hits / 400 <= 0.99
