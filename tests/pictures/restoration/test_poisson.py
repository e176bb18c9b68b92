"""The membrane solves Laplace's equation, at the picture's edges too."""

import numpy as np
import pytest
import torch
from trilemma.models.pictures.restoration.poisson import membrane


def solved(difference: np.ndarray, inside: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """The same by Gaussian elimination: each pixel inside is the mean of its neighbours in the picture."""
    number = np.full(inside.shape, -1)
    number[inside] = np.arange(inside.sum())
    matrix, right = np.zeros((inside.sum(),) * 2), np.zeros((inside.sum(), len(difference)))
    for y, x in zip(*np.nonzero(inside), strict=True):
        own = number[y, x]
        for row, column in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if not (0 <= row < inside.shape[0] and 0 <= column < inside.shape[1]):
                continue
            if inside[row, column]:
                matrix[own, own] += 1
                matrix[own, number[row, column]] -= 1
            else:
                matrix[own, own] += trust[row, column]
                right[own] += trust[row, column] * difference[:, row, column]
    result = np.zeros_like(difference)
    result[:, inside] = np.linalg.solve(matrix, right).T
    return result


@pytest.mark.parametrize("size", [(12, 17), (23, 20), (5, 40), (1, 9)])
@pytest.mark.parametrize("binary", [True, False])
def test_is_the_solution(size, binary):
    rng = np.random.default_rng(0)
    difference, inside = rng.random((3, *size)), rng.random(size) < 0.7
    inside[:, -1] = False
    trust = np.ones(size) if binary else 0.05 + rng.random(size)
    given = (torch.from_numpy(each).float() for each in (difference, trust))
    found = membrane(next(given), torch.from_numpy(inside), next(given))
    assert np.abs(found.numpy() - solved(difference, inside, trust)).max() < 5e-4


def test_runs_into_the_pictures_edge_at_a_right_angle():
    """A region that three edges of the picture bound takes the one border that it has, all over."""
    difference = torch.full((1, 30, 40), 0.2)
    difference[..., :25] = -5  # of the region itself, which does not count
    inside = torch.zeros(30, 40, dtype=torch.bool)
    inside[:, :25] = True
    found = membrane(difference, inside, torch.ones(30, 40))
    assert torch.allclose(found[:, inside], torch.tensor(0.2), atol=2e-3)
    assert not bool(found[:, ~inside].any())


def test_continues_a_plane():
    y, x = torch.meshgrid(torch.arange(50.0), torch.arange(60.0), indexing="ij")
    plane = (0.01 * x - 0.02 * y)[None]
    inside = torch.zeros(50, 60, dtype=torch.bool)
    inside[10:40, 15:50] = True
    assert torch.allclose(membrane(plane, inside, torch.ones(50, 60))[:, inside], plane[:, inside], atol=2e-3)


def test_without_a_border_there_is_nothing_to_continue():
    difference = torch.rand(3, 20, 20)
    everywhere, middle = torch.ones(20, 20, dtype=torch.bool), torch.zeros(20, 20, dtype=torch.bool)
    middle[5:15, 5:15] = True
    assert not bool(membrane(difference, everywhere, torch.ones(20, 20)).any())
    assert not bool(membrane(difference, middle, torch.zeros(20, 20)).any())
    assert not bool(membrane(difference, ~everywhere, torch.ones(20, 20)).any())
