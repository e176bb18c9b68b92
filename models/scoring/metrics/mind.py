"""MIND, the Monge Inception Distance (Berthet et al. 2026, arXiv:2605.06797): features' sliced Wasserstein distance."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch

from ..scores import Score
from .checks import check_pair
from .frechet_interval import LEVEL

if TYPE_CHECKING:
    from ..set_pair import SetPair

DIRECTIONS: Final = 1000
ADVISED: Final = 5000
"""Samples of each set at which the paper takes it."""
_BLOCK: Final = 250
"""Directions at once: many for the product, few for the memory."""
_TELLING: Final = 64
"""Directions that tell how much each sample matters."""


class MongeDistance(NamedTuple):
    """low <= value <= high, of a normal distribution with this standard_error; low is never negative."""

    value: float
    low: float
    high: float
    standard_error: float


def draw_directions(size: int, generator: torch.Generator, count: int = DIRECTIONS) -> torch.Tensor:
    """float32 [count, size], of length 1, evenly over the sphere."""
    drawn = torch.randn(count, size, generator=generator)
    return drawn / drawn.norm(dim=1, keepdim=True)


def monge_inception_distance(
    generated: torch.Tensor, reference: torch.Tensor, seed: int, directions: int = DIRECTIONS, level: float = LEVEL
) -> MongeDistance:
    """3 D times the mean, over random directions, of the squared Wasserstein-2 distance of the projections.

    Of features [N, D] and [M, D]; of the larger set as many as the smaller one has are drawn. With the same seed it is
    what torch-fidelity computes (`metric_mind.py` of May 2026). For N(0, I) and N(m, I) it tends to 3 |m|^2, from
    above: few samples look farther away.

    The interval is that of a repetition with as many generated samples and other directions, against the same
    reference: the infinitesimal jackknife (Efron 1982), with Kantorovich's potential as each sample's influence, and
    the standard error of the mean over directions. Of sets that do not differ it is up to half too wide.

    seed: of the drawn samples and the directions. level: probability inside the interval.

    Raises:
        BadInput: fewer than two samples; NaN or infinite features; different dimensions.
    """
    check_pair(generated, reference)
    generator = torch.Generator().manual_seed(seed)
    count, size = min(len(generated), len(reference)), generated.shape[1]
    ours, theirs = (
        rows if len(rows) == count else rows[torch.randperm(len(rows), generator=generator)[:count]]
        for rows in (generated, reference)
    )
    ours, theirs = ours.float(), theirs.float()
    found, influences = [], torch.empty(0)
    for block in draw_directions(size, generator, directions).split(_BLOCK):
        projected = block @ ours.T
        x, y = _sorted(projected), _sorted(block @ theirs.T)
        if not len(influences):
            influences = _influences(projected[:_TELLING], x[:_TELLING].double(), y[:_TELLING].double())
        found.append((x - y).square_().mean(dim=1, dtype=torch.float64))
    factor = 3.0 * size
    distances = torch.cat(found)
    error_of_samples = _spread(influences, directions) / count**0.5
    error_of_directions = float(distances.std()) / len(distances) ** 0.5 if len(distances) > 1 else 0.0
    value, error = factor * float(distances.mean()), factor * math.hypot(error_of_samples, error_of_directions)
    reach = NormalDist().inv_cdf((1 + level) / 2) * error
    return MongeDistance(value, max(0.0, value - reach), value + reach, error)


def _sorted(rows: torch.Tensor) -> torch.Tensor:
    """Each row by itself. NumPy sorts by vector instructions; PyTorch sorts places along with values."""
    return torch.from_numpy(np.sort(rows.numpy(), axis=1))


def _influences(projected: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """float64 [K, N]: how much each of N samples matters along each of K directions.

    projected: the samples as they come; x, y: sorted, of both sets. It is the potential of the optimal transport on a
    line, x^2 - 2 (the integral of the map up to x).
    """
    steps = (x[:, 1:] - x[:, :-1]) * (y[:, 1:] + y[:, :-1]) / 2
    integral = torch.nn.functional.pad(steps.cumsum(dim=1), (1, 0))
    # From 0 on, and not from the least sample, which another draw has elsewhere.
    potentials = x.square() - 2 * (integral + x[:, :1] * y[:, :1])
    return torch.zeros_like(potentials).scatter_(1, projected.argsort(dim=1), potentials)


def _spread(influences: torch.Tensor, directions: int) -> float:
    """Standard deviation over the samples of their influence, averaged over this many directions.

    Few are known. What two halves of them have in common stays, whatever their number; the rest averages out.
    """
    known = len(influences)
    variance = float(influences.mean(dim=0).var())
    if known == 1:
        return variance**0.5
    halves = torch.stack([influences[0::2].mean(dim=0), influences[1::2].mean(dim=0)])
    common = min(max(float(torch.cov(halves)[0, 1]), 0.0), variance)
    return (common + (variance - common) * known / directions) ** 0.5


def score_mind(pair: SetPair) -> Score:
    """MIND of the rows; NaN with fewer than two of either set."""
    rows = pair.rows(2)
    if isinstance(rows, str):
        return Score("mind", math.nan, note=rows)
    found = monge_inception_distance(*rows, pair.settings.subsets_seed)
    count = min(map(len, rows))
    notes = [f"{DIRECTIONS:,} directions, {count} {pair.told_rows}"]
    if count < ADVISED:
        notes.append(f"compares with equal numbers only; the paper takes {ADVISED:,}")
    notes.append(f"interval: {LEVEL:.0%} of repetitions, jackknife and directions")
    return Score("mind", found.value, None, found.low, found.high, "; ".join(notes))
