"""Fréchet distance between two sets of features (Heusel et al. 2017): FID, where the features are Inception's."""

from __future__ import annotations

from typing import NamedTuple

import torch

from ...errors import BadInput
from .checks import check_finite, check_pair, check_sizes


class Gaussian(NamedTuple):
    """count: of the samples. mean: float64 [D]. covariance: float64 [D, D], unbiased."""

    count: int
    mean: torch.Tensor
    covariance: torch.Tensor


def gaussian(features: torch.Tensor) -> Gaussian:
    """Mean and covariance of features [N, D].

    Raises:
        BadInput: fewer than two samples.
    """
    if len(features) < 2:
        raise BadInput(f"features: {len(features)} sample is too few for a covariance; give at least 2.")
    exact = features.double()
    return Gaussian(len(exact), exact.mean(dim=0), torch.cov(exact.T).reshape(exact.shape[1], exact.shape[1]))


def frechet_distance(generated: Gaussian, reference: Gaussian) -> float:
    """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)), never negative; the order of the two does not matter.

    The trace of the root is the sum of the roots of the eigenvalues of R^T C_b R for C_a = R R^T: a symmetric
    problem, so that neither rank-deficient nor constant features give imaginary parts.

    Raises:
        BadInput: NaN or infinite statistics; different dimensions.
    """
    for name, side in (("generated", generated), ("reference", reference)):
        check_finite(name, side.mean)
        check_finite(name, side.covariance)
    check_sizes(len(generated.mean), len(reference.mean))
    root, other = cholesky_root(generated.covariance), reference.covariance
    if root is None:
        root, other = root_of(reference.covariance), generated.covariance
    shared = torch.linalg.eigvalsh(root.T @ other @ root).clamp(min=0).sqrt().sum()
    spread = generated.covariance.trace() + reference.covariance.trace()
    return _distance(generated.mean, reference.mean, spread, shared)


def frechet_distance_of_rows(generated: torch.Tensor, reference: torch.Tensor) -> float:
    """The same of features [N, D] and [M, D] themselves.

    For centred rows A and B, divided by the roots of their counts minus one, the trace of the root is the sum of the
    singular values of A B^T [N, M]: with fewer samples than dimensions no covariance is needed. A set with more
    samples than dimensions enters by the root of its covariance instead of its rows.

    Raises:
        BadInput: fewer than two samples; NaN or infinite features; different dimensions.
    """
    check_pair(generated, reference)
    size = generated.shape[1]
    if min(len(generated), len(reference)) > size:
        return frechet_distance(gaussian(generated), gaussian(reference))
    a, b = generated.double(), reference.double()
    root_a, root_b = _root_of_rows(a), _root_of_rows(b)
    shared = torch.linalg.svdvals(root_a.T @ root_b).sum()
    spread = root_a.square().sum() + root_b.square().sum()
    return _distance(a.mean(dim=0), b.mean(dim=0), spread, shared)


def root_of(covariance: torch.Tensor) -> torch.Tensor:
    """R [D, rank] with R R^T = covariance [D, D]: Cholesky's, or where there is none the scaled eigenvectors."""
    root = cholesky_root(covariance)
    if root is not None:
        return root
    values, vectors = torch.linalg.eigh(covariance)
    kept = values > _negligible(covariance) * values.abs().max()
    return vectors[:, kept] * values[kept].sqrt()


def cholesky_root(covariance: torch.Tensor) -> torch.Tensor | None:
    """Lower triangular L with L L^T = covariance [D, D]; None where rank is missing, also but for rounding."""
    root, failed = torch.linalg.cholesky_ex(covariance)
    if failed or (root.diagonal().square() <= _negligible(covariance) * covariance.diagonal()).any():
        return None
    return root


def _negligible(covariance: torch.Tensor) -> float:
    return len(covariance) * torch.finfo(covariance.dtype).eps


def _root_of_rows(rows: torch.Tensor) -> torch.Tensor:
    if len(rows) > rows.shape[1]:
        return root_of(gaussian(rows).covariance)
    return ((rows - rows.mean(dim=0)) / (len(rows) - 1) ** 0.5).T


def _distance(mean_a: torch.Tensor, mean_b: torch.Tensor, spread: torch.Tensor, shared: torch.Tensor) -> float:
    return float(((mean_a - mean_b).square().sum() + spread - 2 * shared).clamp(min=0))
