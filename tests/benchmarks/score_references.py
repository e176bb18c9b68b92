"""How widely used packages compute the scores, written down here: the same arithmetic in the same types.

tests/scoring/metrics/test_references.py pins them to the values that the packages themselves gave.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import linalg

PRDC_JOBS = 8
"""Slices in which prdc lets scikit-learn compute a matrix of distances."""


def statistics(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [D] and covariance float64 [D, D] of features [N, D]."""
    return features.mean(axis=0), np.cov(features, rowvar=False)


def fid_by_eigenvalues(mean_a: np.ndarray, cov_a: np.ndarray, mean_b: np.ndarray, cov_b: np.ndarray) -> float:
    """torch-fidelity 0.4: eigenvalues of the product of the covariances."""
    shared = np.sqrt(np.linalg.eigvals(cov_a.dot(cov_b)).astype(np.complex128)).real.sum()
    difference = mean_a - mean_b
    return float(difference.dot(difference) + np.trace(cov_a) + np.trace(cov_b) - 2 * shared)


def fid_by_matrix_root(mean_a: np.ndarray, cov_a: np.ndarray, mean_b: np.ndarray, cov_b: np.ndarray) -> float:
    """pytorch-fid and clean-fid: scipy's root of the product of the covariances."""
    root = linalg.sqrtm(cov_a.dot(cov_b))
    difference = mean_a - mean_b
    return float(difference.dot(difference) + np.trace(cov_a) + np.trace(cov_b) - 2 * np.trace(root.real))


def kid(generated: np.ndarray, reference: np.ndarray, subsets: int, subset_size: int, seed: int) -> np.ndarray:
    """torch-fidelity 0.4: the unbiased estimate of every subset: float64 [subsets]."""
    rng = np.random.RandomState(seed)
    found = np.zeros(subsets)
    for i in range(subsets):
        x = generated[rng.choice(len(generated), subset_size, replace=False)]
        y = reference[rng.choice(len(reference), subset_size, replace=False)]
        xx, yy, xy = _cubic(x, x), _cubic(y, y), _cubic(x, y)
        within = (xx.sum(axis=1) - np.diagonal(xx)).sum() + (yy.sum(axis=1) - np.diagonal(yy)).sum()
        between = xy.sum(axis=0).sum()
        found[i] = within / (subset_size * (subset_size - 1)) - 2 * between / (subset_size * subset_size)
    return found


def _cubic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (np.matmul(x, y.T) * (1.0 / x.shape[1]) + 1) ** 3


def mind(generated: torch.Tensor, reference: torch.Tensor, directions: int, seed: int) -> float:
    """torch-fidelity's tree of May 2026 (a51aa64): sorts along the samples of all directions at once."""
    draws = torch.Generator().manual_seed(seed)
    fewest = min(len(generated), len(reference))
    sets = [
        each if len(each) == fewest else each[torch.randperm(len(each), generator=draws)[:fewest]]
        for each in (generated, reference)
    ]
    along = torch.randn(directions, generated.shape[1], generator=draws)
    along = along / along.norm(dim=1, keepdim=True).clamp_min(1e-12)
    first, second = ((each @ along.t()).sort(dim=0).values for each in sets)
    return 3.0 * generated.shape[1] * float(((first - second) ** 2).mean(dim=0).mean())


def kid_picks(counts: tuple[int, int], subsets: int, subset_size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows that `kid` takes of either set: int64 [subsets, subset_size]."""
    rng = np.random.RandomState(seed)
    picks = [[rng.choice(count, subset_size, replace=False) for count in counts] for _ in range(subsets)]
    generated, reference = zip(*picks, strict=True)
    return np.array(generated), np.array(reference)


def prdc(real: np.ndarray, fake: np.ndarray, k: int) -> dict[str, float]:
    """prdc 0.2 on float32 features: whole matrices of distances."""
    real_radii, fake_radii = _radii(real, k), _radii(fake, k)
    distances = _distances(real, fake)
    return {
        "precision": (distances < np.expand_dims(real_radii, axis=1)).any(axis=0).mean(),
        "recall": (distances < np.expand_dims(fake_radii, axis=0)).any(axis=1).mean(),
        "density": (1.0 / float(k)) * (distances < np.expand_dims(real_radii, axis=1)).sum(axis=0).mean(),
        "coverage": (distances.min(axis=1) < real_radii).mean(),
    }


def _radii(rows: np.ndarray, k: int) -> np.ndarray:
    distances = _distances(rows, rows)
    nearest = np.argpartition(distances, k + 1, axis=-1)[..., : k + 1]
    return np.take_along_axis(distances, nearest, axis=-1).max(axis=-1)


def _distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """scikit-learn 1.9's pairwise_distances(metric="euclidean", n_jobs=8) of float32, whose threads share one core."""
    distances = np.empty((len(x), len(y)), dtype=np.float32)
    for part in np.array_split(np.arange(len(y)), PRDC_JOBS):
        if len(part):
            columns = slice(part[0], part[-1] + 1)
            distances[:, columns] = _upcast_distances(x, y[columns])
    return distances


def _upcast_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    size = _batch_size(len(x), len(y), x.shape[1])
    distances = np.empty((len(x), len(y)), dtype=np.float32)
    for i in range(0, len(x), size):
        some = x[i : i + size].astype(np.float64)
        norms = np.einsum("ij,ij->i", some, some)[:, None]
        for j in range(0, len(y), size):
            others = y[j : j + size].astype(np.float64)
            squares = -2 * (some @ others.T)
            squares += norms
            squares += np.einsum("ij,ij->i", others, others)[None, :]
            distances[i : i + size, j : j + size] = squares.astype(np.float32, copy=False)
    np.maximum(distances, 0, out=distances)
    return np.sqrt(distances, out=distances)


def _batch_size(rows: int, columns: int, size: int) -> int:
    """So that float64 copies take a tenth of the arrays' own memory."""
    memory = max(((rows + columns) * size + rows * columns) / 10, 10 * 2**17)
    return max(int((-2 * size + math.sqrt(4 * size**2 + 4 * memory)) / 2), 1)
