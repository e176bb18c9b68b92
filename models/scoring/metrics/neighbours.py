"""Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020), by nearest neighbours.

Every distance that decides is exact: its square is summed in float64, then rounded to the features' type, as package
prdc does; the values are identical. Float32 products, with a bound of their error, only tell which pairs are beyond
doubt.

A sample lies in a neighbourhood that is open where its distance is below the radius, as prdc and torch-fidelity count,
and in one that is closed where it is not above it, as Kynkäänniemi et al. define it (equation 1). The two differ where
distances are equal: of two sets of k + 1 equal rows all radii are 0, open neighbourhoods are empty and precision is 0,
closed ones hold everything and it is 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np
import torch

from ...errors import BadInput
from ..scores import Score
from .checks import check_pair, check_rows

if TYPE_CHECKING:
    from ..set_pair import SetPair

NEAREST: Final = 5
Neighbourhood = Literal["open", "closed"]
NEIGHBOURHOODS: Final[tuple[Neighbourhood, ...]] = ("open", "closed")
_BLOCK: Final = 1024
_SPARE: Final = 4
"""Candidates for the k-th neighbour beyond k."""
_PAIRS: Final = 128
"""Pairs whose exact distances are computed at once."""
_TERMS: Final = 256
"""Of a float32 product that are added up at once: the fewer, the smaller the bound of its error."""
_DOUBTFUL: Final = 0.02
"""Share of a block's pairs from which the whole block is computed exactly."""


TOLD: Final[dict[Neighbourhood, str]] = {
    "open": "distance < radius as in prdc",
    "closed": "distance <= radius as in the paper",
}


class Neighbours(NamedTuple):
    """Of N generated and M reference samples.

    k: which neighbour's distance is a sample's radius.
    reference_radii [M], generated_radii [N]: to the k-th neighbour in the same set, the sample itself not counted.
    memberships: int64 [N], in how many reference samples' neighbourhoods each generated one lies.
    covered: bool [M], whether a generated sample lies within the radius of each reference one.
    recalled: bool [M], whether each reference sample lies within the radius of a generated one.
    nearest: int64 [N], the reference sample next to each generated one; distances [N]: to it.
    """

    k: int
    reference_radii: torch.Tensor
    generated_radii: torch.Tensor
    memberships: torch.Tensor
    covered: torch.Tensor
    recalled: torch.Tensor
    nearest: torch.Tensor
    distances: torch.Tensor

    @property
    def precision(self) -> float:
        """Share of the generated samples that lie among the reference."""
        return float((self.memberships > 0).double().mean())

    @property
    def recall(self) -> float:
        """Share of the reference samples that lie among the generated."""
        return float(self.recalled.double().mean())

    @property
    def density(self) -> float:
        """Mean number of reference neighbourhoods around a generated sample, over k; it can exceed 1."""
        return float(self.memberships.double().mean()) / self.k

    @property
    def coverage(self) -> float:
        """Share of the reference samples with a generated one in their neighbourhood."""
        return float(self.covered.double().mean())


def neighbours(
    generated: torch.Tensor, reference: torch.Tensor, k: int = NEAREST, neighbourhood: Neighbourhood = "open"
) -> Neighbours:
    """Compare features [N, D] and [M, D], float32 or float64, in blocks of bounded memory.

    neighbourhood: whether a distance that equals the radius counts.

    Raises:
        BadInput: fewer than k + 1 samples, or k below 1; NaN or infinite features; different dimensions.
    """
    if k < 1:
        raise BadInput(f"k: {k}; give at least 1.")
    check_pair(generated, reference, at_least=k + 1)
    fake, real = _Rows.of(generated, reference), _Rows.of(reference, reference)
    reference_radii, generated_radii = _radii(real, k), _radii(fake, k)
    memberships = torch.zeros(len(generated), dtype=torch.int64)
    covered = torch.zeros(len(reference), dtype=torch.bool)
    recalled = torch.zeros(len(reference), dtype=torch.bool)
    best = torch.full((len(generated),), torch.inf)
    nearest = torch.zeros(len(generated), dtype=torch.int64)
    for i in _blocks(len(reference)):
        for j in _blocks(len(generated)):
            block = _Block(real, fake, i, j)
            inside = block.within(reference_radii[i, None], neighbourhood)
            memberships[j] += inside.sum(dim=0, dtype=torch.int32)
            covered[i] |= inside.any(dim=1)
            recalled[i] |= block.within(generated_radii[None, j], neighbourhood).any(dim=1)
            least = block.squares.amin(dim=0)
            better = (least < best[j]).nonzero()[:, 0]
            best[j.start + better] = least[better]
            nearest[j.start + better] = block.squares[:, better].argmin(dim=0) + i.start
    distances = _exact(fake.rows, real.rows, torch.arange(len(generated)), nearest)
    return Neighbours(k, reference_radii, generated_radii, memberships, covered, recalled, nearest, distances)


class Nearest(NamedTuple):
    """Of N samples: places, int64 [N], of the next one among others; distances [N] to it, exact."""

    places: torch.Tensor
    distances: torch.Tensor


def nearest(rows: torch.Tensor, among: torch.Tensor) -> Nearest:
    """Of features [N, D] among others [M, D], in blocks of bounded memory.

    Raises:
        BadInput: either set is empty; NaN or infinite features; different dimensions.
    """
    check_pair(rows, among, at_least=1)
    ours, theirs = _Rows.of(rows, among), _Rows.of(among, among)
    best = torch.full((len(rows),), torch.inf)
    places = torch.zeros(len(rows), dtype=torch.int64)
    for j in _blocks(len(rows)):
        for i in _blocks(len(among)):
            least, found = _Block(ours, theirs, j, i).squares.min(dim=1)
            better = least < best[j]
            best[j] = torch.where(better, least, best[j])
            places[j] = torch.where(better, found + i.start, places[j])
    return Nearest(places, _exact(ours.rows, theirs.rows, torch.arange(len(rows)), places))


def radii(rows: torch.Tensor, k: int) -> torch.Tensor:
    """Exact distance of every row of features [N, D] to its k-th neighbour: [N].

    Raises:
        BadInput: fewer than k + 1 rows; NaN or infinite features.
    """
    check_rows("reference", rows, at_least=k + 1)
    return _radii(_Rows.of(rows, rows), k)


def scorer(metric: str) -> Callable[[SetPair], Score]:
    """What takes one of the four properties of Neighbours as a score; NaN with too few rows."""

    def score(pair: SetPair) -> Score:
        found = pair.neighbours
        if isinstance(found, str):
            return Score(metric, math.nan, note=found)
        rule = TOLD[pair.settings.neighbourhood]
        return Score(metric, getattr(found, metric), note=f"k = {found.k}, {rule}, {pair.told_rows}")

    return score


class _Rows(NamedTuple):
    """rows [N, D] as given. centred: float32, less the reference's mean. norms: float32 [N], squares of centred."""

    rows: torch.Tensor
    centred: torch.Tensor
    norms: torch.Tensor

    @classmethod
    def of(cls, rows: torch.Tensor, reference: torch.Tensor) -> _Rows:
        centred = (rows - reference.mean(dim=0)).float()
        norms = [part.double().square().sum(dim=1).float() for part in centred.split(_PAIRS)]
        return cls(rows, centred, torch.cat(norms))


class _Block:
    """Distances between rows i of one set and rows j of another.

    squares: float32 [I, J], of the distances, wrong by at most `_relative_margin` times the sum of the two norms.
    """

    def __init__(self, first: _Rows, second: _Rows, i: slice, j: slice) -> None:
        self._first, self._second, self._i, self._j = first, second, i, j
        self._sums = first.norms[i, None] + second.norms[None, j]
        self.squares = self._sums - _products(first.centred[i], second.centred[j]).mul_(2)

    def within(self, radii: torch.Tensor, neighbourhood: Neighbourhood) -> torch.Tensor:
        """Bool [I, J]: distance < radius, of a closed neighbourhood <=, for exact radii [I, 1] or [1, J]."""
        inside = torch.lt if neighbourhood == "open" else torch.le
        bounds = radii.double().square().float()
        margin = self._sums * _relative_margin(self._first.rows.shape[1])
        margin += bounds * 4 * torch.finfo(torch.float32).eps
        surely = self.squares < bounds - margin
        doubtful = (self.squares <= bounds + margin).logical_xor_(surely)
        count = int(doubtful.count_nonzero())
        if count > _DOUBTFUL * doubtful.numel():
            return inside(_exact_block(self._first.rows[self._i], self._second.rows[self._j]), radii)
        if count:
            rows, columns = doubtful.nonzero(as_tuple=True)
            limits = radii.expand_as(surely)[rows, columns]
            exact = _exact(self._first.rows, self._second.rows, rows + self._i.start, columns + self._j.start)
            surely[rows, columns] = inside(exact, limits)
        return surely


def _products(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """x y^T in float32, `_TERMS` dimensions at a time."""
    parts = zip(x.split(_TERMS, dim=1), y.split(_TERMS, dim=1), strict=True)
    first, second = next(parts)
    total = first @ second.T
    product = torch.empty_like(total)
    for first, second in parts:
        total += torch.mm(first, second.T, out=product)
    return total


def _relative_margin(size: int) -> float:
    """Bound of the rounding of |x|^2 + |y|^2 - 2 x y, relative to |x|^2 + |y|^2 (Higham 2002, section 3.1).

    n float32 products, added in whatever order, are off by n units of the last place of |x| |y| at most; here n is
    the dimensions added at once, then the number of such parts. 16 more are for centring, norms and differences.
    """
    terms = min(size, _TERMS) + -(-size // _TERMS)
    return (terms + 16) * torch.finfo(torch.float32).eps / 2


def _radii(rows: _Rows, k: int) -> torch.Tensor:
    """Exact distance of every row to its k-th neighbour: [N]."""
    count = len(rows.rows)
    wanted = min(k + _SPARE, count - 1)
    squares = torch.full((count, wanted), torch.inf)
    found = torch.zeros(count, wanted, dtype=torch.int64)
    blocks = list(_blocks(count))
    for place, i in enumerate(blocks):
        for j in blocks[place:]:
            block = _Block(rows, rows, i, j).squares
            if i == j:
                block.fill_diagonal_(torch.inf)
            else:
                _merge(squares, found, j, block.T, i.start)
            _merge(squares, found, i, block, j.start)
    return _settle(rows, k, squares, found)


def _merge(squares: torch.Tensor, found: torch.Tensor, rows: slice, block: torch.Tensor, start: int) -> None:
    """Keep the smallest of what is known of `rows` and of a block whose columns begin at `start`."""
    wanted = squares.shape[1]
    least, columns = block.topk(min(wanted, block.shape[1]), dim=1, largest=False)
    both = torch.cat([squares[rows], least], dim=1)
    squares[rows], order = both.topk(wanted, dim=1, largest=False)
    found[rows] = torch.cat([found[rows], columns + start], dim=1).gather(1, order)


def _settle(rows: _Rows, k: int, squares: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    """Exact k-th smallest distances, from candidates in ascending order whose squares are wrong by a margin."""
    relative = _relative_margin(rows.rows.shape[1])
    high = (squares + (rows.norms[:, None] + rows.norms[found]) * relative)[:, :k].amax(dim=1)
    # Whatever lies within a square of `high` has a norm of at most 2 (norm + high), and so a margin of at most this.
    margin = (3 * rows.norms + 2 * high) * relative
    low = squares[:, k - 1] - margin
    certain = squares + margin[:, None] < low[:, None]
    doubtful = (squares - margin[:, None] <= high[:, None]) & ~certain
    exact = torch.full(squares.shape, torch.inf, dtype=rows.rows.dtype)
    exact[certain] = -1
    line, column = doubtful.nonzero(as_tuple=True)
    exact[line, column] = _exact(rows.rows, rows.rows, line, found[line, column])
    radii = exact.sort(dim=1).values[:, k - 1].clone()
    if squares.shape[1] < len(rows.rows) - 1:
        # Nearer samples could be missing from the candidates where the last of them is not beyond doubt.
        unsettled = (squares[:, -1] <= radii.float().square() + 2 * margin) & (radii > 0)
        for row in unsettled.nonzero()[:, 0]:
            radii[row] = _exact_block(rows.rows[row, None], rows.rows).kthvalue(k + 1, dim=1).values
    return radii


def _exact(first: torch.Tensor, second: torch.Tensor, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
    """Distances of the pairs (first[i], second[j]): [P], of the features' type."""
    parts = [_norms(first[a].double().sub_(second[b])) for a, b in zip(i.split(_PAIRS), j.split(_PAIRS), strict=True)]
    return _roots(torch.cat(parts).to(first.dtype))


def _exact_block(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """All distances [I, J], in the same way: products of matrices would not put equal rows at distance 0."""
    parts = [torch.stack([_norms(columns - row) for row in first.double()]) for columns in second.split(_PAIRS)]
    return _roots(torch.cat(parts, dim=1).to(first.dtype))


def _roots(squares: torch.Tensor) -> torch.Tensor:
    """Square roots rounded to the nearest, as prdc has them by NumPy; every eighth of torch's, in float32, is not."""
    return torch.from_numpy(np.sqrt(squares.numpy()))


def _norms(differences: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vecdot(differences, differences)


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, min(start + _BLOCK, count)) for start in range(0, count, _BLOCK))
