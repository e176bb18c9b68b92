"""Fréchet distance between two sets of features (Heusel et al. 2017): FID, where the features are Inception's."""

from __future__ import annotations

from typing import NamedTuple

import torch

from ..errors import BadInput


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


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)), never negative.

    The trace of the root is the sum of the roots of the eigenvalues of R^T C_b R for C_a = R R^T: a symmetric
    problem, so that neither rank-deficient nor constant features give imaginary parts.
    """
    values, vectors = torch.linalg.eigh(a.covariance)
    root = vectors * values.clamp(min=0).sqrt()
    shared = torch.linalg.eigvalsh(root.T @ b.covariance @ root).clamp(min=0).sqrt().sum()
    distance = (a.mean - b.mean).square().sum() + a.covariance.trace() + b.covariance.trace() - 2 * shared
    return float(distance.clamp(min=0))
