"""Kernel Inception Distance (Bińkowski et al. 2018): the squared maximum mean discrepancy of a cubic kernel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from ...errors import BadInput
from ..scores import Score
from .checks import check_pair

if TYPE_CHECKING:
    from ..set_pair import SetPair

SUBSETS: Final = 100
SUBSET_SIZE: Final = 1000
_BLOCK: Final = 1024


class KernelDistance(NamedTuple):
    """mean, std: over the subsets; std is the population's (ddof 0). subset_size: samples of each set in a subset.
    subsets: float64 [S], each one's estimate. all_samples: the estimate of all samples at once, where asked for."""

    mean: float
    std: float
    subset_size: int
    subsets: torch.Tensor
    all_samples: float | None


def kernel_inception_distance(
    generated: torch.Tensor,
    reference: torch.Tensor,
    seed: int,
    subsets: int = SUBSETS,
    subset_size: int = SUBSET_SIZE,
    with_all_samples: bool = False,
) -> KernelDistance:
    """KID of features [N, D] and [M, D] over random subsets, drawn without repetition, generated ones first.

    Raises:
        BadInput: fewer samples than `subset_size`, or than 2; NaN or infinite features; different dimensions.
    """
    check_pair(generated, reference)
    fewest = min(len(generated), len(reference))
    if not 2 <= subset_size <= fewest:
        raise BadInput(f"subset_size: {subset_size} with {fewest} samples; give at least 2 and at most {fewest}.")
    generator = torch.Generator().manual_seed(seed)
    picks = [
        [torch.randperm(len(rows), generator=generator)[:subset_size] for rows in (generated, reference)]
        for _ in range(subsets)
    ]
    chosen = tuple(torch.stack(of_one) for of_one in zip(*picks, strict=True))
    found = subset_distances(generated, reference, *chosen)
    everything = kernel_distance(generated, reference) if with_all_samples else None
    return KernelDistance(float(found.mean()), float(found.std(correction=0)), subset_size, found, everything)


def kernel_distance(generated: torch.Tensor, reference: torch.Tensor) -> float:
    """The unbiased estimate of all samples of features [N, D] and [M, D]; it can be negative.

    The kernel is (x y / D + 1)^3. Products of float32 features are float32, sums are float64.

    Raises:
        BadInput: fewer than two samples; NaN or infinite features; different dimensions.
    """
    check_pair(generated, reference)
    weights = [torch.ones(len(rows), 1, dtype=torch.float64) for rows in (generated, reference)]
    return float(_from_gram_matrices(generated, reference, *weights))


def subset_distances(
    generated: torch.Tensor, reference: torch.Tensor, generated_picks: torch.Tensor, reference_picks: torch.Tensor
) -> torch.Tensor:
    """The unbiased estimate of each of S subsets: float64 [S].

    Samples that many subsets share meet each other once: all pairs' kernel is computed, block by block, and summed
    for all subsets by their indicator matrices. Where the subsets hold fewer pairs than that, each is computed alone.

    generated, reference: features [N, D], [M, D]. generated_picks, reference_picks: int64 [S, m], rows without
    repetition.
    """
    pairs = _pairs(len(generated)) + _pairs(len(reference)) + len(generated) * len(reference)
    subsets, size = generated_picks.shape
    if pairs <= 3 * subsets * size**2:
        indicators = [
            torch.zeros(len(rows), subsets, dtype=torch.float64).scatter_(0, picks.T, 1.0)
            for rows, picks in ((generated, generated_picks), (reference, reference_picks))
        ]
        return _from_gram_matrices(generated, reference, *indicators)
    whole = torch.ones(size, 1, dtype=torch.float64)
    found = [
        _from_gram_matrices(generated[a], reference[b], whole, whole)
        for a, b in zip(generated_picks, reference_picks, strict=True)
    ]
    return torch.cat(found)


def _pairs(count: int) -> int:
    return count * (count + _BLOCK) // 2


def _from_gram_matrices(
    generated: torch.Tensor, reference: torch.Tensor, a: torch.Tensor, b: torch.Tensor
) -> torch.Tensor:
    """a [N, S], b [M, S]: 1 where a sample belongs to a subset."""
    m, n = a.sum(dim=0), b.sum(dim=0)
    within = _sum_within(generated, a) / (m * (m - 1)) + _sum_within(reference, b) / (n * (n - 1))
    between = sum(_quadratic(x, reference, u, b) for x, u in zip(generated.split(_BLOCK), a.split(_BLOCK), strict=True))
    return within - 2 * between / (m * n)


def _sum_within(rows: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Over all ordered pairs of different samples: twice those above the diagonal."""
    total = torch.zeros(weights.shape[1], dtype=torch.float64)
    for start in range(0, len(rows), _BLOCK):
        end = start + _BLOCK
        x, u = rows[start:end], weights[start:end]
        own = _kernel(x, x).fill_diagonal_(0)
        total += (u * (own.double() @ u)).sum(dim=0)
        total += 2 * _quadratic(x, rows[end:], u, weights[end:])
    return total


def _quadratic(x: torch.Tensor, y: torch.Tensor, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """u^T K v of every subset: [S]."""
    total = torch.zeros(u.shape[1], dtype=torch.float64)
    for part, weights in zip(y.split(_BLOCK), v.split(_BLOCK), strict=True):
        total += (u * (_kernel(x, part).double() @ weights)).sum(dim=0)
    return total


def _kernel(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    base = (x @ y.T).div_(x.shape[1]).add_(1)
    return base.square().mul_(base)


def score_kid(pair: SetPair) -> Score:
    """KID of the rows; NaN with fewer than two of either set."""
    rows = pair.rows(2)
    if isinstance(rows, str):
        return Score("kid", math.nan, note=rows)
    subsets, size = pair.settings.kid_subsets, pair.kid_subset_size
    found = kernel_inception_distance(*rows, pair.settings.subsets_seed, subsets, size)
    return Score("kid", found.mean, found.std, note=f"{subsets} subsets of {size}, {pair.told_rows}")
