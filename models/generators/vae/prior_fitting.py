"""Priors fitted over encoded images: a Gaussian, or a mixture of them by expectation maximisation.

A VAE's encoder never fills its prior evenly, and an autoencoder has none: fitting one afterwards gives better samples
(Ghosh 2020, "From Variational to Deterministic Autoencoders").
"""

from __future__ import annotations

import math
from typing import Final, Literal

import torch

from ...errors import BadInput
from ...steps import OnStep, quiet
from ..base import Generator
from .priors import FITTED, MIXTURE, Prior

Covariance = Literal["diagonal", "full"]

FULL_LIMIT: Final = 1024
"""Numbers of a latent above which a covariance is no longer kept in full, 8 MB per component."""
PER_COMPONENT: Final = 2
FLOOR: Final = 1e-4
"""Least variance, relative to the mean variance of the latents: no component collapses onto one image."""
LLOYD_STEPS: Final = 20
EM_STEPS: Final = 100
TOLERANCE: Final = 1e-6


def fit_prior(
    generator: Generator,
    images: torch.Tensor,
    kind: str,
    components: int = 1,
    batch_size: int = 16,
    on_step: OnStep = quiet,
    covariance: Covariance | None = None,
) -> Prior:
    """A prior of the kind GAUSSIAN or MIXTURE over the latents of images; the same images give the same prior.

    images: float32 [N, H, W, 3], 0..1, of a size that the generator encodes. components: of a mixture.
    on_step: called with the images encoded so far. covariance: None is full where each component has at least twice
    as many images as a latent has numbers, else diagonal.

    Raises:
        CannotDo: the generator cannot encode.
        BadInput: no such kind, too few images, or a full covariance over too large latents.
    """
    if kind not in FITTED:
        raise BadInput(f"prior: {kind!r} is not fitted; choose one of {', '.join(FITTED)}.")
    components = components if kind == MIXTURE else 1
    if not 1 <= PER_COMPONENT * components <= len(images):
        raise BadInput(
            f"images: {len(images)} are too few to fit {components} components; give at least "
            f"{PER_COMPONENT * max(1, components)}, or fewer components (1 or more)."
        )
    codes = []
    with torch.no_grad():
        for batch in images.split(batch_size):
            codes.append(generator.encode(batch).values)
            on_step(sum(map(len, codes)), None)
    values = torch.cat(codes)
    points = values.flatten(1).double()
    size = points.shape[1]
    full = covariance == "full" if covariance else size <= FULL_LIMIT and len(points) >= 2 * size * components
    if full and size > FULL_LIMIT:
        raise BadInput(f"covariance: full over latents of {size} numbers, above {FULL_LIMIT}; choose diagonal.")
    weights, means, factors = fit_mixture(points, components, full)
    return Prior(kind, tuple(values.shape[1:]), weights, means, factors, generator.identity, len(images))


def fit_mixture(points: torch.Tensor, components: int, full: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Maximum likelihood by EM (Dempster 1977) from a deterministic k-means start.

    points: float64 [N, D]. Returns weights [K], means [K, D] and factors [K, D] or [K, D, D], as `Prior` has them.
    """
    floor = FLOOR * float(points.var(dim=0, correction=0).mean()) + 1e-12
    shares = _clusters(points, components)
    before = -math.inf
    for _ in range(EM_STEPS):
        weights, means, factors = _maximise(points, shares, full, floor)
        log_joint = log_densities(points, means, factors) + weights.log()
        likelihood = log_joint.logsumexp(dim=1, keepdim=True)
        now = float(likelihood.mean())
        if now - before < TOLERANCE * abs(now):
            break
        shares, before = (log_joint - likelihood).exp(), now
    return weights, means, factors


def log_densities(points: torch.Tensor, means: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Log density of each point under each Gaussian, [N, K]."""
    if factors.ndim == 2:
        scaled = (points[:, None] - means) / factors
        log_volume = factors.log().sum(dim=1)
    else:
        offsets = (points[:, None] - means).permute(1, 2, 0)
        scaled = torch.linalg.solve_triangular(factors, offsets, upper=False).permute(2, 0, 1)
        log_volume = factors.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    return -0.5 * scaled.square().sum(dim=2) - log_volume - points.shape[1] / 2 * math.log(2 * math.pi)


def _maximise(
    points: torch.Tensor, shares: torch.Tensor, full: bool, floor: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The Gaussians of points that belong to them by `shares`, [N, K]."""
    masses = shares.sum(dim=0).clamp(min=1e-9)
    means = (shares.T @ points) / masses[:, None]
    if not full:
        squares = torch.stack([share @ (points - mean).square() for share, mean in zip(shares.T, means, strict=True)])
        return masses / masses.sum(), means, (squares / masses[:, None] + floor).sqrt()
    ridge = floor * torch.eye(points.shape[1], dtype=points.dtype)
    covariances = [
        (points - mean).T @ (share[:, None] * (points - mean)) / mass + ridge
        for share, mean, mass in zip(shares.T, means, masses, strict=True)
    ]
    return masses / masses.sum(), means, torch.linalg.cholesky(torch.stack(covariances))


def _clusters(points: torch.Tensor, count: int) -> torch.Tensor:
    """Hard shares, [N, K], by k-means whose centres start as far apart as possible (Gonzalez 1985)."""
    nearest = (points - points.mean(dim=0)).square().sum(dim=1)
    chosen = [int(nearest.argmin())]
    distances = (points - points[chosen[0]]).square().sum(dim=1)
    while len(chosen) < count:
        chosen.append(int(distances.argmax()))
        distances = distances.minimum((points - points[chosen[-1]]).square().sum(dim=1))
    centres = points[chosen]
    for _ in range(LLOYD_STEPS):
        shares = torch.nn.functional.one_hot(torch.cdist(points, centres).argmin(dim=1), count).double()
        masses = shares.sum(dim=0)[:, None]
        centres = torch.where(masses > 0, (shares.T @ points) / masses.clamp(min=1), centres)
    return shares
