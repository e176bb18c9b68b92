"""FID, KID, precision and recall against the algorithms of the packages in wide use.

Every comparison asserts that both give the same result. The slow ones run once: at 2,048 dimensions a single
eigenvalue problem takes half a minute.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from trilemma.models.scoring.metrics import frechet, kernel, mind, neighbours
from trilemma.tests.benchmarks import score_references as references
from trilemma.tests.benchmarks.timing import Comparison, Peaks, compare_results
from trilemma.tests.peak_memory import peak_bytes
from trilemma.tests.scoring.recipes import normal_features

SIZE = 2048
SEED = 2020
EIGENVALUES_AT_LEAST = 2.3
ROOT_AT_LEAST = 7
FEW_ROWS_AT_LEAST = 20
SMALL_KID_AT_LEAST = 4
LARGE_KID_AT_LEAST = 1.5
MIND_AT_LEAST = 1.5
NEIGHBOURS_AT_LEAST = 2
MEMORY_AT_LEAST = 4


def compare_fid(reference: Callable[..., Any], generated: np.ndarray, real: np.ndarray, repeats: int = 1) -> Comparison:
    """From means and covariances; `reference` takes them as arrays."""
    arrays = _statistics(generated, real)
    a, b = (frechet.gaussian(torch.from_numpy(rows)) for rows in (generated, real))
    ours = partial(frechet.frechet_distance, a, b)
    times, expected, found = compare_results(partial(reference, *arrays), ours, repeats)
    assert found == pytest.approx(float(expected), rel=1e-9)
    return times


def _statistics(generated: np.ndarray, real: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(array for rows in (generated, real) for array in references.statistics(rows.astype(np.float64)))


def torchmetrics_fid(mean_a: np.ndarray, cov_a: np.ndarray, mean_b: np.ndarray, cov_b: np.ndarray) -> torch.Tensor:
    """torchmetrics' own function, of float64 statistics."""
    from torchmetrics.image.fid import _compute_fid

    return _compute_fid(*map(torch.from_numpy, (mean_a, cov_a, mean_b, cov_b)))


def compare_fid_of_rows(generated: np.ndarray, real: np.ndarray, repeats: int = 1) -> Comparison:
    """From fewer samples than dimensions, against torchmetrics."""
    a, b = torch.from_numpy(generated), torch.from_numpy(real)
    times, expected, found = compare_results(
        lambda: torchmetrics_fid(*_statistics(generated, real)),
        lambda: frechet.frechet_distance_of_rows(a, b),
        repeats,
    )
    assert found == pytest.approx(float(expected), rel=1e-6)
    return times


def compare_kid(
    generated: np.ndarray, real: np.ndarray, subsets: int = 100, subset_size: int = 1000, repeats: int = 1
) -> Comparison:
    """On the same subsets."""
    picks = references.kid_picks((len(generated), len(real)), subsets, subset_size, SEED)
    a, b, rows_a, rows_b = (torch.from_numpy(array) for array in (generated, real, *picks))
    times, expected, found = compare_results(
        lambda: references.kid(generated, real, subsets, subset_size, SEED),
        lambda: kernel.subset_distances(a, b, rows_a, rows_b),
        repeats,
    )
    # The reference sums in float32.
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=2e-6)
    assert float(found.mean()) == pytest.approx(expected.mean(), rel=1e-5)
    return times


def compare_mind(generated: np.ndarray, real: np.ndarray, repeats: int = 3) -> Comparison:
    """Along the same directions; ours tells its interval too."""
    a, b = torch.from_numpy(generated), torch.from_numpy(real)
    times, expected, found = compare_results(
        lambda: references.mind(a, b, mind.DIRECTIONS, SEED),
        lambda: mind.monge_inception_distance(a, b, SEED),
        repeats,
    )
    assert found.value == pytest.approx(expected, rel=1e-5)
    return times


def compare_neighbours(
    generated: np.ndarray, real: np.ndarray, k: int = 5, repeats: int = 1
) -> tuple[Comparison, Peaks]:
    """Precision, recall, density and coverage: identical."""
    a, b = torch.from_numpy(generated), torch.from_numpy(real)
    tracemalloc.start()  # which counts numpy's arrays; what it costs is nothing beside them
    times, expected, found = compare_results(
        lambda: references.prdc(real, generated, k), lambda: neighbours.neighbours(a, b, k), repeats
    )
    reference_peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.precision, found.recall, found.coverage) == tuple(
        expected[name] for name in ("precision", "recall", "coverage")
    )
    assert found.density == pytest.approx(expected["density"], rel=1e-12)
    return times, Peaks(reference_peak, peak_bytes(lambda: neighbours.neighbours(a, b, k)))


def rows() -> tuple[list[tuple[str, Comparison, float]], list[tuple[str, Peaks, float]]]:
    """What is compared, the times, and the least ratio that is promised; and the same of peak memory."""
    real, fake, _ = normal_features(3000, SIZE, 3)
    half_real, half_fake, _ = normal_features(3000, SIZE // 2, 7)
    few_real, few_fake, _ = normal_features(500, SIZE, 2)
    some_real, some_fake, _ = normal_features(1500, SIZE, 4)
    more_real, more_fake, _ = normal_features(5000, SIZE, 5)
    many_real, many_fake, _ = normal_features(10_000, SIZE, 6)
    time_of_neighbours, peaks = compare_neighbours(many_fake, many_real)
    what = "precision, recall, density, coverage of prdc, N = 10,000"
    times = [
        ("FID, eigenvalues of torchmetrics", compare_fid(torchmetrics_fid, fake, real), EIGENVALUES_AT_LEAST),
        (
            "FD of 1,024 dimensions, eigenvalues of torchmetrics",
            compare_fid(torchmetrics_fid, half_fake, half_real),
            EIGENVALUES_AT_LEAST,
        ),
        (
            "FID, eigenvalues of torch-fidelity",
            compare_fid(references.fid_by_eigenvalues, fake, real),
            EIGENVALUES_AT_LEAST,
        ),
        ("FID, scipy's sqrtm", compare_fid(references.fid_by_matrix_root, fake, real), ROOT_AT_LEAST),
        ("FID of 500 rows, torchmetrics", compare_fid_of_rows(few_fake, few_real), FEW_ROWS_AT_LEAST),
        ("KID of torch-fidelity, N = 1,500", compare_kid(some_fake, some_real), SMALL_KID_AT_LEAST),
        ("KID of torch-fidelity, N = 5,000", compare_kid(more_fake, more_real), LARGE_KID_AT_LEAST),
        ("MIND of torch-fidelity, N = 5,000", compare_mind(more_fake, more_real), MIND_AT_LEAST),
        (what, time_of_neighbours, NEIGHBOURS_AT_LEAST),
    ]
    return times, [(what, peaks, MEMORY_AT_LEAST)]
