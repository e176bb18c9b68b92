"""How many different samples a set holds: Vendi score (Friedman and Dieng 2023), truncated Vendi score (Ospanov and
Farnia 2025, arXiv:2410.21719) and RKE (Jalali et al. 2023). No reference takes part, and so no fidelity: noise is
diverse."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from ...errors import BadInput
from ..scores import Score
from .checks import check_rows
from .frechet_interval import LEVEL

if TYPE_CHECKING:
    from ..set_pair import SetPair

TRUNCATED: Final = 500
"""Eigenvalues of the truncated Vendi score, as its authors' example has them."""
_NOTHING: Final = 1e-12
"""Eigenvalues below are zero but for rounding: all of a set's add up to 1."""


class Diversity(NamedTuple):
    """value: the effective number of different samples, 1 to N. low, high: where that of another set of as many
    samples of the same generator would fall."""

    value: float
    low: float
    high: float


class Spectrum(NamedTuple):
    """Of the kernel k(x, y) = cos(x, y): values, float64 [R], the positive eigenvalues of K / N, descending, which add
    up to 1; parts, float64 [N, R]: each sample's share of each, whose means they are."""

    values: torch.Tensor
    parts: torch.Tensor


def spectrum(rows: torch.Tensor) -> Spectrum:
    """Of features [N, D], from a matrix of the smaller of the two sides.

    Raises:
        BadInput: fewer than two samples, or one whose features are all zero; NaN or infinite features.
    """
    check_rows("generated", rows)
    exact = rows.double()
    lengths = exact.norm(dim=1, keepdim=True)
    if not lengths.all():
        raise BadInput("generated: the features of a sample are all zero, which point nowhere; take others.")
    unit = exact / lengths
    count, size = unit.shape
    if count < size:
        values, vectors = torch.linalg.eigh(unit @ unit.T / count)
        # Of an eigenvector u of K / N the one of the features is X^T u / (N lambda)^(1/2).
        parts = vectors.square() * values * count
    else:
        values, vectors = torch.linalg.eigh(unit.T @ unit / count)
        parts = (unit @ vectors).square_()
    kept = (values > _NOTHING).nonzero()[:, 0].flip(0)
    return Spectrum(values[kept], parts[:, kept])


def diversity(found: Spectrum, order: float = 1.0, truncated: int | None = None, level: float = LEVEL) -> Diversity:
    """exp of the entropy of the eigenvalues, Renyi's of this order; 1 is Shannon's, and the Vendi score.

    RKE is that of order 2: 1 over the mean squared similarity of two samples, the sample itself among them.
    truncated: the so many largest eigenvalues alone, to each of which an equal part of the others' sum is added.

    The interval is that of repetitions, by the infinitesimal jackknife (Efron 1982), within 1 and the number
    of eigenvalues.
    """
    values, parts = found
    count = len(parts)
    if truncated is not None and truncated < len(values):
        values, parts = values[:truncated], parts[:, :truncated]
    rest = (1 - values.sum()) / len(values)
    entropy, slopes = _entropy(values + rest, order)
    # The others' sum falls by what a sample adds to those that are kept.
    influences = (parts - values) @ (slopes - slopes.mean())
    value = math.exp(entropy)
    reach = NormalDist().inv_cdf((1 + level) / 2) * value * float(influences.std()) / count**0.5
    return Diversity(value, max(1.0, value - reach), min(float(len(values)), value + reach))


def _entropy(values: torch.Tensor, order: float) -> tuple[float, torch.Tensor]:
    """Of positive values that add up to 1, and its derivative by each."""
    if order == 1:
        return -float(torch.xlogy(values, values).sum()), -(values.log() + 1)
    powers = values.pow(order).sum()
    return float(powers.log()) / (1 - order), values.pow(order - 1) * (order / (1 - order) / powers)


def vendi_score(similarities: torch.Tensor, order: float = 1.0) -> float:
    """Of any kernel's matrix [N, N], symmetric, with ones on its diagonal.

    Raises:
        BadInput: the matrix is not square, or a value is NaN or infinite.
    """
    check_rows("similarities", similarities, at_least=1)
    if similarities.shape[0] != similarities.shape[1]:
        raise BadInput(f"similarities: their shape is {list(similarities.shape)}; give a square matrix.")
    values = torch.linalg.eigvalsh(similarities.double() / len(similarities))
    return math.exp(_entropy(values[values > _NOTHING], order)[0])


def score_diversity(pair: SetPair) -> list[Score]:
    """The three of the generated rows, where the user wants them; NaN with fewer than two."""
    names = ("vendi", "vendi_truncated", "rke")
    if not pair.settings.diversity:
        return []
    rows = pair.generated_rows(2)
    if isinstance(rows, str):
        return [Score(name, math.nan, note=rows) for name in names]
    try:
        found = spectrum(rows)
    except BadInput as error:
        return [Score(name, math.nan, note=str(error)) for name in names]
    kept = min(TRUNCATED, len(found.values))
    told = f"cosine kernel, of {len(rows)} rows"
    notes = (told, f"{kept} of {len(found.values)} eigenvalues, {told}", f"order 2, {told}")
    taken = (diversity(found), diversity(found, truncated=TRUNCATED), diversity(found, order=2))
    interval = f"interval: {LEVEL:.0%} of repetitions, jackknife"
    return [
        Score(name, each.value, None, each.low, each.high, f"{note}; {interval}")
        for name, each, note in zip(names, taken, notes, strict=True)
    ]
