"""How sure a Fréchet distance is: its interval from the jackknife, and its limit for ever more samples."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from ...errors import BadInput
from ..scores import Score
from .checks import check_finite, check_rows, check_sizes
from .frechet import Gaussian, frechet_distance, root_of

if TYPE_CHECKING:
    from ..set_pair import SetPair

LEVEL: Final = 0.95
POINTS: Final = 8
SMALLEST: Final = 0.25
"""Of the subsets for the extrapolation: this share of the rows."""
FEWEST: Final = 8
"""Rows without which the distance at infinity cannot be estimated."""
AT_ZERO: Final = "not distinguishable from 0 at this count"
"""Said of a limit that the line puts below 0."""
STRAIGHT: Final = 3
"""Times as many rows as dimensions from which that estimate can be relied upon."""


class Interval(NamedTuple):
    """low <= distance <= high, of a normal distribution with this standard_error; low is never negative.
    influences: float64 [K], how much each of the rows matters, whose standard deviation over N^(1/2) that error is."""

    distance: float
    low: float
    high: float
    standard_error: float
    influences: torch.Tensor


class Extrapolation(NamedTuple):
    """limit: at infinitely many samples; noise can make it negative.
    distances: of subsets of the counts beside them. residual: root mean square of what the line leaves."""

    limit: float
    counts: tuple[int, ...]
    distances: tuple[float, ...]
    residual: float


def frechet_interval(rows: torch.Tensor, generated: Gaussian, reference: Gaussian, level: float = LEVEL) -> Interval:
    """Where the distance of another `generated.count` samples of the same generator would fall, to the same
    reference.

    It is the interval of a repetition at this count of samples, against a fixed reference. It is not one of the
    distance at infinitely many samples: the bias, by which few samples look farther away, stays in both its ends.
    What another draw of the reference would change is not in it either: for that, exchange the two sets.

    The infinitesimal jackknife (Efron 1982): the standard error of a smooth statistic of N samples is the standard
    deviation of each sample's influence over N^(1/2). The influence of x is, with the optimal transport map
    T = R (R^T C R)^(-1/2) R^T for the reference's covariance R R^T and the generated C and m,
    2 (m - m_r) (x - m) + |x - m|^2 - (x - m)^T T (x - m) plus a constant. So a random part of the samples is enough,
    while m, C and N come from all of them. With fewer samples than dimensions it is about a quarter too wide.

    rows: features [K, D], a random part of the samples of `generated`, or all of them. level: probability inside.

    Raises:
        BadInput: fewer than two rows or samples; NaN or infinite features; different dimensions.
    """
    check_rows("generated", rows)
    check_sizes(rows.shape[1], len(generated.mean))
    if generated.count < 2:
        raise BadInput("generated: its number of samples is unknown; an interval needs features taken by this pack.")
    distance = frechet_distance(generated, reference)
    influences = _influences(rows.double() - generated.mean, generated, reference)
    error = float(influences.std()) / generated.count**0.5
    reach = NormalDist().inv_cdf((1 + level) / 2) * error
    return Interval(distance, max(0.0, distance - reach), distance + reach, error, influences)


def _influences(deviations: torch.Tensor, generated: Gaussian, reference: Gaussian) -> torch.Tensor:
    root = root_of(reference.covariance)
    values, vectors = torch.linalg.eigh(root.T @ generated.covariance @ root)
    # The root is not smooth at zero: directions in which the samples do not vary have no influence.
    kept = values > len(root) * torch.finfo(values.dtype).eps * values.amax() if len(values) else values > 0
    moved = deviations @ (root @ (vectors[:, kept] * values[kept] ** -0.25))
    toward = deviations @ (generated.mean - reference.mean)
    return 2 * toward + deviations.square().sum(dim=1) - moved.square().sum(dim=1)


def frechet_infinity(
    rows: torch.Tensor,
    reference: Gaussian,
    seed: int,
    points: int = POINTS,
    measured: tuple[int, float] | None = None,
) -> Extrapolation:
    """The distance at infinitely many generated samples, FID-infinity (Chong and Forsyth 2020).

    The expected distance is linear in 1 / N for large N. Here a line is fitted by least squares to the distances of
    `points` random subsets, whose counts lie evenly between a quarter of the rows and all of them; its value at
    1 / N = 0 is the limit. Below three times as many rows as dimensions the line bends, and the limit comes out too
    low or too high by more than its noise.

    rows: features [K, D]. seed: of the subsets. measured: count and distance of all samples, where the rows are only
    a part of them: one more point of the line.

    Raises:
        BadInput: fewer than eight rows; NaN or infinite features; different dimensions.
    """
    check_rows("generated", rows, at_least=FEWEST)
    check_finite("reference", reference.covariance)
    check_sizes(rows.shape[1], len(reference.mean))
    generator = torch.Generator().manual_seed(seed)
    counts = torch.linspace(SMALLEST * len(rows), len(rows), points, dtype=torch.float64).round().long().tolist()
    exact = rows.double()
    # In these coordinates every subset's cross term is the nuclear norm of its own rows.
    turned = exact @ root_of(reference.covariance)
    distances = []
    for count in counts:
        chosen = torch.randperm(len(rows), generator=generator)[:count]
        distances.append(_subset_distance(exact[chosen], turned[chosen], reference))
    if measured is not None:
        counts.append(measured[0])
        distances.append(measured[1])
    inverse = 1 / torch.tensor(counts, dtype=torch.float64)
    found = torch.tensor(distances, dtype=torch.float64)
    design = torch.stack([torch.ones_like(inverse), inverse], dim=1)
    line = torch.linalg.lstsq(design, found[:, None]).solution
    residual = float((design @ line - found[:, None]).square().mean().sqrt())
    return Extrapolation(float(line[0]), tuple(counts), tuple(distances), residual)


def _subset_distance(rows: torch.Tensor, turned: torch.Tensor, reference: Gaussian) -> float:
    mean = rows.mean(dim=0)
    centred = turned - turned.mean(dim=0)
    gram = centred @ centred.T if len(centred) < centred.shape[1] else centred.T @ centred
    shared = torch.linalg.eigvalsh(gram / (len(rows) - 1)).clamp(min=0).sqrt().sum()
    spread = (rows - mean).square().sum() / (len(rows) - 1) + reference.covariance.trace()
    return float(((mean - reference.mean).square().sum() + spread - 2 * shared).clamp(min=0))


def score_fid(pair: SetPair) -> Score:
    """The Fréchet distance of the main tap, with its interval where rows were kept."""
    notes = _warnings(pair)
    found = pair.interval
    if found is None:
        return Score("fid", pair.distance, note="; ".join([*notes, "no interval, which needs rows"]))
    notes.append(f"interval: {LEVEL:.0%} of repetitions with as many samples, jackknife")
    return Score("fid", found.distance, None, found.low, found.high, "; ".join(notes))


def _warnings(pair: SetPair) -> list[str]:
    """Of sets with fewer samples than dimensions, whose distance says more of the number than of the samples."""
    size = len(pair.gaussians[0].mean)
    return [
        f"warning: the {what} set has {of.count} samples for {size} dimensions, far too few: such a distance is too "
        "large and compares with equal numbers only"
        for what, of in (("generated", pair.generated), ("reference", pair.reference))
        if 0 < of.count < size
    ]


def score_fid_infinity(pair: SetPair) -> Score:
    """FID at infinity; NaN with too few rows."""
    rows = pair.generated_rows(FEWEST)
    if isinstance(rows, str):
        return Score("fid_infinity", math.nan, note=rows)
    count, size = rows.shape
    measured = (pair.generated.count, pair.distance) if pair.generated.count > count else None
    found = frechet_infinity(rows, pair.gaussians[1], pair.settings.subsets_seed, measured=measured)
    notes = [f"line through {len(found.counts)} subsets of {count} rows, which it misses by {found.residual:.3g}"]
    if found.limit <= 0:
        # No distance is negative: that is the noise of the line, and no better score than 0.
        notes = [f"warning: {AT_ZERO}", *notes, f"the line ends at {found.limit:.3g}"]
    if count < STRAIGHT * size:
        notes.append(f"warning: below {STRAIGHT * size} rows it is a rough guess")
    return Score("fid_infinity", max(0.0, found.limit), note="; ".join(notes))
