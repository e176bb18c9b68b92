"""Kernel Inception Distance (Bińkowski et al. 2018): the squared maximum mean discrepancy, of a kernel with a name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import torch

from ...errors import BadInput
from ..scores import Score
from .checks import check_pair

if TYPE_CHECKING:
    from ..set_pair import SetPair

Kernel = Literal["polynomial", "gaussian", "rational quadratic"]
KERNELS: Final[Mapping[Kernel, str]] = {
    "polynomial": "(x y / D + 1)^3, KID's own",
    "gaussian": "exp(-|x - y|^2 / 200), torch-fidelity's rbf: sigma 10",
    "rational quadratic": "the sum of (1 + |x - y|^2 / 2 a)^-a for a = 0.2, 0.5, 1, 2, 5",
}
"""What each is, the default first."""
SIGMA: Final = 10.0
EXPONENTS: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Of the rational quadratic kernels that Bińkowski et al. add up."""
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
    kernel: Kernel = "polynomial",
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
    found = subset_distances(generated, reference, *chosen, kernel=kernel)
    everything = kernel_distance(generated, reference, kernel) if with_all_samples else None
    return KernelDistance(float(found.mean()), float(found.std(correction=0)), subset_size, found, everything)


def kernel_distance(
    generated: torch.Tensor, reference: torch.Tensor, kernel: Kernel = "polynomial", biased: bool = False
) -> float:
    """The unbiased estimate of all samples of features [N, D] and [M, D]; it can be negative.

    Products of float32 features are float32 for the polynomial kernel, float64 for the others, which take differences
    of them; sums are float64. biased: count every sample's kernel with itself as well; never negative.

    Raises:
        BadInput: fewer than two samples; NaN or infinite features; different dimensions.
    """
    check_pair(generated, reference)
    weights = [torch.ones(len(rows), 1, dtype=torch.float64) for rows in (generated, reference)]
    return float(_from_gram_matrices(generated, reference, weights[0], weights[1], kernel, biased))


def subset_distances(
    generated: torch.Tensor,
    reference: torch.Tensor,
    generated_picks: torch.Tensor,
    reference_picks: torch.Tensor,
    kernel: Kernel = "polynomial",
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
        return _from_gram_matrices(generated, reference, indicators[0], indicators[1], kernel)
    whole = torch.ones(size, 1, dtype=torch.float64)
    found = [
        _from_gram_matrices(generated[a], reference[b], whole, whole, kernel)
        for a, b in zip(generated_picks, reference_picks, strict=True)
    ]
    return torch.cat(found)


def _pairs(count: int) -> int:
    return count * (count + _BLOCK) // 2


def _from_gram_matrices(
    generated: torch.Tensor,
    reference: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    kernel: Kernel,
    biased: bool = False,
) -> torch.Tensor:
    """a [N, S], b [M, S]: 1 where a sample belongs to a subset."""
    if kernel != "polynomial":
        generated, reference = generated.double(), reference.double()
    m, n = a.sum(dim=0), b.sum(dim=0)
    pairs = [count * count if biased else count * (count - 1) for count in (m, n)]
    within = [_sum_within(each, of, kernel, biased) for each, of in ((generated, a), (reference, b))]
    blocks = zip(generated.split(_BLOCK), a.split(_BLOCK), strict=True)
    between = sum(_quadratic(x, reference, u, b, kernel) for x, u in blocks)
    return within[0] / pairs[0] + within[1] / pairs[1] - 2 * between / (m * n)


def _sum_within(rows: torch.Tensor, weights: torch.Tensor, kernel: Kernel, biased: bool) -> torch.Tensor:
    """Over all ordered pairs of different samples, biased of all: twice those above the diagonal."""
    total = torch.zeros(weights.shape[1], dtype=torch.float64)
    for start in range(0, len(rows), _BLOCK):
        end = start + _BLOCK
        x, u = rows[start:end], weights[start:end]
        own = _kernel(x, x, kernel)
        if not biased:
            own.fill_diagonal_(0)
        total += (u * (own.double() @ u)).sum(dim=0)
        total += 2 * _quadratic(x, rows[end:], u, weights[end:], kernel)
    return total


def _quadratic(x: torch.Tensor, y: torch.Tensor, u: torch.Tensor, v: torch.Tensor, kernel: Kernel) -> torch.Tensor:
    """u^T K v of every subset: [S]."""
    total = torch.zeros(u.shape[1], dtype=torch.float64)
    for part, weights in zip(y.split(_BLOCK), v.split(_BLOCK), strict=True):
        total += (u * (_kernel(x, part, kernel).double() @ weights)).sum(dim=0)
    return total


def _kernel(x: torch.Tensor, y: torch.Tensor, kernel: Kernel) -> torch.Tensor:
    if kernel == "polynomial":
        base = (x @ y.T).div_(x.shape[1]).add_(1)
        return base.square().mul_(base)
    squares = torch.addmm(y.square().sum(dim=1)[None], x, y.T, alpha=-2).add_(x.square().sum(dim=1)[:, None])
    squares.clamp_(min=0)
    if kernel == "gaussian":
        return squares.mul_(-1 / (2 * SIGMA**2)).exp_()
    return torch.stack([(1 + squares / (2 * a)).pow_(-a) for a in EXPONENTS]).sum(dim=0)


def score_cmmd(pair: SetPair) -> Score | None:
    """CMMD (Jayasumana et al. 2024): 1,000 times the biased estimate by the Gaussian kernel, of rows of length 1. None
    unless the protocol asks for it: of other networks' features it would be another number."""
    if pair.settings.protocol != "CMMD":
        return None
    rows = pair.rows(2)
    if isinstance(rows, str):
        return Score("cmmd", math.nan, note=rows)
    unit = [each.double() / each.double().norm(dim=1, keepdim=True) for each in rows]
    return Score("cmmd", 1000 * kernel_distance(unit[0], unit[1], "gaussian", biased=True), note=pair.told_rows)


def score_kid(pair: SetPair) -> Score:
    """KID of the rows; NaN with fewer than two of either set."""
    rows = pair.rows(2)
    if isinstance(rows, str):
        return Score("kid", math.nan, note=rows)
    subsets, size = pair.settings.kid_subsets, pair.kid_subset_size
    kernel = pair.settings.kid_kernel
    found = kernel_inception_distance(*rows, pair.settings.subsets_seed, subsets, size, kernel=kernel)
    told = "" if kernel == "polynomial" else f"{kernel} kernel, "
    return Score("kid", found.mean, found.std, note=f"{told}{subsets} subsets of {size}, {pair.told_rows}")
