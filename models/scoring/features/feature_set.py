"""Features of a set of images, as sums that add up: over batches, over machines, over runs of a queue.

Everything that scores need is kept in bounded memory, whatever the number of images.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Final, NamedTuple

import torch

from ...errors import BadInput
from ..extractors.base import Answers, Source
from ..metrics.frechet import Gaussian
from .keys import ranks

SPLITS: Final = 10
"""Of the Inception score; see `splits_of`."""
ROWS: Final = 5000
"""Kept for KID, precision and recall, unless the user wants another number."""


class Sums(NamedTuple):
    """count: of samples. total: float64 [D], sum of x. products: float64 [D, D], sum of x x^T."""

    count: int
    total: torch.Tensor
    products: torch.Tensor


class Tap(NamedTuple):
    """Statistics of the features at one place of the network.

    statistics: sums, or, read from a file of mu and sigma, a Gaussian that cannot be added to (count 0: unknown).
    """

    name: str
    statistics: Sums | Gaussian


class ClassSums(NamedTuple):
    """For the Inception score, of each split S: counts int64 [S], sums of p, float64 [S, C], and of sum p log p,
    float64 [S]."""

    counts: torch.Tensor
    probabilities: torch.Tensor
    negative_entropies: torch.Tensor


class Rows(NamedTuple):
    """The features of the samples whose keys have the smallest ranks, by rank; all of them where they are few.

    capacity: how many are kept at most. seed: of the ranks.
    keys: int64 [R]. values: float32 [R, D], at the main tap.
    drawn_with: int64 [R], the seed of each sample, by which those of several models pair; None where not all of them
        were drawn by this pack.
    """

    capacity: int
    seed: int
    keys: torch.Tensor
    values: torch.Tensor
    drawn_with: torch.Tensor | None = None


class Features(NamedTuple):
    """Features of a set of images.

    name: of the set, as tables show it. source: how they were taken.
    taps: the main one first. classes: None where the network has none.
    rows: None where the set came from a file of mu and sigma without pictures; beside a Gaussian they are of some of
        its pictures.
    keys: int64 [N], sorted: every sample that was counted.
    readers: what read its files, sorted; empty where that is not known, or where no file was read.
    """

    name: str
    source: Source
    taps: tuple[Tap, ...]
    classes: ClassSums | None
    rows: Rows | None
    keys: torch.Tensor
    readers: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of samples; 0 where a file of mu and sigma does not tell."""
        return self.taps[0].statistics.count


def gaussian_of(tap: Tap) -> Gaussian:
    """Mean and unbiased covariance.

    Raises:
        BadInput: fewer than two samples.
    """
    if isinstance(tap.statistics, Gaussian):
        return tap.statistics
    count, total, products = tap.statistics
    if count < 2:
        raise BadInput(f"features: {count} sample is too few for a covariance; give at least 2.")
    mean = total / count
    covariance = (products - torch.outer(total, mean)) / (count - 1)
    return Gaussian(count, mean, (covariance + covariance.T) / 2)


class Accumulator:
    """Adds up batches of answers to Features."""

    def __init__(self, source: Source, taps: Mapping[str, int], classes: int, capacity: int = ROWS, seed: int = 0):
        """taps: name -> size, the main one first. classes: 0 where the network has none.
        capacity, seed: of the rows that are kept."""
        self._source = source
        self._capacity = capacity
        self._seed = seed
        self._count = 0
        self._sums = {
            name: (torch.zeros(size, dtype=torch.float64), torch.zeros(size, size, dtype=torch.float64))
            for name, size in taps.items()
        }
        self._classes = empty_classes(classes) if classes else None
        self._rows = torch.empty(capacity, next(iter(taps.values())))
        self._row_keys = torch.empty(capacity, dtype=torch.int64)
        self._row_seeds = torch.empty(capacity, dtype=torch.int64)
        self._all_drawn = True
        self._kept: list[tuple[int, int]] = []
        self._keys: set[int] = set()

    def add(self, keys: torch.Tensor, indices: torch.Tensor, answers: Answers, drawn: bool = False) -> None:
        """Count one batch.

        keys: int64 [N], of the samples. indices: int64 [N], their places in the run. answers: of the taps in order.
        drawn: whether the places are the seeds that the samples were drawn with.

        Raises:
            BadInput: a sample was counted already, or a feature is not a number; nothing of the batch was counted.
        """
        new = keys.tolist()
        if len(set(new)) < len(new) or not self._keys.isdisjoint(new):
            raise BadInput("features: a sample was counted already; give every sample once.")
        for values in answers.taps:
            if not values.isfinite().all():
                raise BadInput(
                    f"features: {self._source.extractor} gave values that are not numbers; check the images."
                )
        self._keys.update(new)
        self._count += len(new)
        for (total, products), values in zip(self._sums.values(), answers.taps, strict=True):
            exact = values.double()
            total += exact.sum(dim=0)
            products.addmm_(exact.T, exact)
        if self._classes is not None:
            assert answers.log_probabilities is not None  # of an extractor that has classes
            _add_classes(self._classes, indices, answers.log_probabilities)
        self._all_drawn &= drawn
        self._keep(keys, indices, answers.taps[0])

    def _keep(self, keys: torch.Tensor, indices: torch.Tensor, values: torch.Tensor) -> None:
        # A heap of (-rank, row): heapq has the least first, and the row to give up is the one of the greatest rank.
        for key, rank, index, value in zip(keys, ranks(keys, self._seed).tolist(), indices, values, strict=True):
            row = len(self._kept)
            if row < self._capacity:
                heapq.heappush(self._kept, (-rank, row))
            elif self._capacity and rank < -self._kept[0][0]:
                _, row = heapq.heapreplace(self._kept, (-rank, self._kept[0][1]))
            else:
                continue
            self._rows[row] = value
            self._row_keys[row] = key
            self._row_seeds[row] = index

    def features(self, name: str) -> Features:
        """All that was added, as a value that later additions do not change."""
        taps = tuple(
            Tap(tap, Sums(self._count, total.clone(), products.clone()))
            for tap, (total, products) in self._sums.items()
        )
        classes = self._classes and ClassSums(*(sums.clone() for sums in self._classes))
        filled = self._row_keys[: len(self._kept)]
        order = ranks(filled, self._seed).argsort()
        seeds = self._row_seeds[order] if self._all_drawn else None
        rows = Rows(self._capacity, self._seed, filled[order], self._rows[order], seeds)
        keys = torch.tensor(sorted(self._keys), dtype=torch.int64)
        return Features(name, self._source, taps, classes, rows, keys)


def empty_classes(classes: int, splits: int = SPLITS) -> ClassSums:
    """Sums over no samples."""
    return ClassSums(
        torch.zeros(splits, dtype=torch.int64),
        torch.zeros(splits, classes, dtype=torch.float64),
        torch.zeros(splits, dtype=torch.float64),
    )


def splits_of(indices: torch.Tensor, splits: int) -> torch.Tensor:
    """The split of each sample by its place in the run, both int64 [N].

    So many samples in a row fall into all of them, but in an order that changes: classes that are drawn in turn would
    else meet the same splits again and again, and a split would see but some of them.
    """
    return (indices + ranks(indices // splits, 0) % splits) % splits


def _add_classes(sums: ClassSums, indices: torch.Tensor, log_probabilities: torch.Tensor) -> None:
    splits = splits_of(indices, len(sums.counts))
    exact = log_probabilities.double()
    p = exact.exp()
    sums.counts.index_add_(0, splits, torch.ones_like(splits))
    sums.probabilities.index_add_(0, splits, p)
    # A probability of 0 has a logarithm of minus infinity; its product is 0.
    sums.negative_entropies.index_add_(0, splits, torch.xlogy(p, p).sum(dim=1))


def check_comparable(a: Features, b: Features) -> None:
    """
    Raises:
        BadInput: the two were taken by different extractors, weights or resize modes.
    """
    if a.source != b.source:
        raise BadInput(
            f"features: {a.name} ({_told(a.source)}) and {b.name} ({_told(b.source)}) were taken in different ways; "
            "take both with one extractor."
        )


def check_source(features: Features, source: Source) -> None:
    """
    Raises:
        BadInput: the features were taken by another extractor, other weights or another resize mode.
    """
    if features.source != source:
        raise BadInput(
            f"extractor: {features.name} was taken by {_told(features.source)}, connected is {_told(source)}; connect "
            "the former, or none."
        )


def _told(source: Source) -> str:
    return f"{source.extractor} {source.identity[:8]}, resize {source.resize}"


def summary(features: Features) -> str:
    """Lines of text: what the set is, how it was taken, and what is kept of it."""
    rows, classes = features.rows, features.classes
    kept = f"{len(rows.keys)} of at most {rows.capacity}, seed {rows.seed}" if rows else "none"
    taps = [f"{tap.name} ({len(tap.statistics[1])})" for tap in features.taps]
    return "\n".join(
        [
            f"{features.name}: {f'{features.count} images' if features.count else 'an unknown number of images'}",
            f"taken by: {_told(features.source)}{_told_readers(features)}",
            f"statistics: {', '.join(taps)}",
            f"rows for KID, precision and recall: {kept}",
            f"Inception score: {f'{len(classes.counts)} splits' if classes else 'no classes'}",
        ]
    )


def _told_readers(features: Features) -> str:
    return f", files read by {' and '.join(features.readers)}" if features.readers else ""


def merge(parts: Sequence[Features], name: str | None = None) -> Features:
    """All samples of sets that share none; equal to one pass over them, whatever the order and the grouping.

    name: of the merged set; None takes the first one's.

    Raises:
        BadInput: they were taken in different ways, with different taps, splits or kept rows, a sample is in two of
            them, or one came from a file of mu and sigma, which cannot be added to.
    """
    first = parts[0]
    if len(parts) == 1:
        return first._replace(name=name or first.name)
    for part in parts[1:]:
        check_comparable(first, part)
        _check_alike(first, part)
    keys = torch.cat([part.keys for part in parts]).sort().values
    repeated = int((keys[1:] == keys[:-1]).sum())
    if repeated:
        raise BadInput(f"features: {repeated} samples are in more than one of the sets; merge every sample once.")
    taps = tuple(Tap(tap.name, _add([part.taps[i] for part in parts])) for i, tap in enumerate(first.taps))
    classes = [part.classes for part in parts if part.classes is not None]
    added = ClassSums(*(reduce(torch.add, sums) for sums in zip(*classes, strict=True))) if classes else None
    readers = tuple(sorted({reader for part in parts for reader in part.readers}))
    return Features(name or first.name, first.source, taps, added, _merge_rows(parts), keys, readers)


def _check_alike(a: Features, b: Features) -> None:
    ours, theirs = _rows_of(a), _rows_of(b)
    for what, one, other in (
        ("taps", [tap.name for tap in a.taps], [tap.name for tap in b.taps]),
        ("splits", _splits(a), _splits(b)),
        ("kept rows", ours.capacity, theirs.capacity),
        ("seeds of kept rows", ours.seed, theirs.seed),
    ):
        if one != other:
            raise BadInput(f"features: {what} of {a.name} ({one}) and {b.name} ({other}) differ; take both alike.")


def _rows_of(features: Features) -> Rows:
    if features.rows is None or isinstance(features.taps[0].statistics, Gaussian):
        raise BadInput(f"features: {features.name} has mean and covariance only and cannot be merged; take it anew.")
    return features.rows


def _splits(features: Features) -> int:
    return len(features.classes.counts) if features.classes else 0


def _add(taps: Sequence[Tap]) -> Sums:
    """Of taps of sets that have rows, and therefore sums."""
    total = Sums(*taps[0].statistics)
    for tap in taps[1:]:
        count, first, second = tap.statistics
        total = Sums(total.count + count, total.total + first, total.products + second)
    return total


def _merge_rows(parts: Sequence[Features]) -> Rows:
    rows = [_rows_of(part) for part in parts]
    capacity, seed = rows[0].capacity, rows[0].seed
    keys = torch.cat([each.keys for each in rows])
    kept = ranks(keys, seed).argsort()[:capacity]
    seeds = [each.drawn_with for each in rows if each.drawn_with is not None]
    drawn_with = torch.cat(seeds)[kept] if len(seeds) == len(rows) else None
    return Rows(capacity, seed, keys[kept], torch.cat([each.values for each in rows])[kept], drawn_with)
