"""A generated set of features beside its reference: what several scores ask of the two, computed once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import torch

from .features.feature_set import Features, Rows, Tap, check_comparable, gaussian_of
from .metrics.copying import score_copying
from .metrics.diversity import score_diversity
from .metrics.frechet import Gaussian, frechet_distance
from .metrics.frechet_interval import Interval, frechet_interval
from .metrics.kernel import SUBSET_SIZE, SUBSETS, Kernel
from .metrics.likelihood import score_likelihood
from .metrics.neighbours import NEAREST, Neighbourhood, Neighbours, neighbours
from .scores import Score

NO_PROTOCOL: Final = "none"


@dataclass(frozen=True)
class Settings:
    """kid_subsets, kid_subset_size: of KID; where no more rows were kept, a subset is half of them.
    nearest_k: which neighbour makes the radius of precision, recall, density and coverage.
    neighbourhood: whether those of precision, recall, density and coverage hold what lies at their radius.
    subsets_seed: of the random subsets, 0 to 2^64 - 1.
    protocol: name of the way of scoring, see protocols.py.
    kid_kernel: of KID. diversity: whether Vendi scores and RKE are taken too."""

    kid_subsets: int = SUBSETS
    kid_subset_size: int = SUBSET_SIZE
    nearest_k: int = NEAREST
    subsets_seed: int = 0
    neighbourhood: Neighbourhood = "open"
    kid_kernel: Kernel = "polynomial"
    diversity: bool = False
    protocol: str = NO_PROTOCOL


DEFAULTS: Final = Settings()


@dataclass(frozen=True)
class SetPair:
    """Two sets that were taken in the same way.

    held_out: images that the generator has never seen; the reference is then what it was trained on.

    Raises:
        BadInput: they were not.
    """

    generated: Features
    reference: Features
    settings: Settings = DEFAULTS
    held_out: Features | None = None

    def __post_init__(self) -> None:
        check_comparable(self.generated, self.reference)
        if self.held_out is not None:
            check_comparable(self.generated, self.held_out)

    @cached_property
    def gaussians(self) -> tuple[Gaussian, Gaussian]:
        """Of the main tap, the generated set's first.

        Raises:
            BadInput: a set has fewer than two samples.
        """
        return gaussian_of(self.generated.taps[0]), gaussian_of(self.reference.taps[0])

    @cached_property
    def interval(self) -> Interval | None:
        """Of the Fréchet distance; None without rows of the generated set."""
        rows = self.generated.rows
        if not self.generated.count:
            return None
        return frechet_interval(rows.values, *self.gaussians) if rows is not None and len(rows.keys) > 1 else None

    @cached_property
    def distance(self) -> float:
        """Fréchet's, of the main tap."""
        return self.interval.distance if self.interval else frechet_distance(*self.gaussians)

    @cached_property
    def taps(self) -> tuple[tuple[Tap, Tap], ...]:
        """Those that both sets have, in the generated set's order."""
        theirs = {tap.name: tap for tap in self.reference.taps}
        return tuple((tap, theirs[tap.name]) for tap in self.generated.taps if tap.name in theirs)

    def size_at(self, tap: str) -> int:
        """Dimensions of a tap that both sets have."""
        return len(self._at(tap)[0].statistics[1])

    def distance_at(self, tap: str) -> float:
        """Fréchet's, of a tap that both sets have."""
        if tap == self.generated.taps[0].name == self.reference.taps[0].name:
            return self.distance
        ours, theirs = self._at(tap)
        return frechet_distance(gaussian_of(ours), gaussian_of(theirs))

    def _at(self, name: str) -> tuple[Tap, Tap]:
        return next(pair for pair in self.taps if pair[0].name == name)

    def generated_rows(self, at_least: int) -> torch.Tensor | str:
        """Features [N, D] that were kept of the generated set, or why they are too few."""
        return _rows(self.generated, at_least)

    def rows(self, at_least: int) -> tuple[torch.Tensor, torch.Tensor] | str:
        """The same of both sets, the generated one first."""
        ours, theirs = _rows(self.generated, at_least), _rows(self.reference, at_least)
        if isinstance(ours, str) or isinstance(theirs, str):
            return ours if isinstance(ours, str) else str(theirs)
        return ours, theirs

    def three_sets(self, at_least: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor] | str:
        """The same of the generated set, the reference and the held-out one."""
        assert self.held_out is not None  # whoever asks has looked
        pair, third = self.rows(at_least), _rows(self.held_out, at_least)
        if isinstance(pair, str) or isinstance(third, str):
            return pair if isinstance(pair, str) else str(third)
        return *pair, third

    @cached_property
    def held_out_elsewhere(self) -> str:
        """A warning for notes where held-out rows are those of another set too, bit by bit; else empty."""
        assert self.held_out is not None  # whoever asks has looked
        ours = _digests(self.held_out)
        found = {"in the reference": self.reference, "among the generated": self.generated}
        known = {where: set(_digests(other)) for where, other in found.items()}
        counts = {where: sum(digest in digests for digest in ours) for where, digests in known.items()}
        told = [f"{count} of {len(ours)} are {where}" for where, count in counts.items() if count]
        return f"warning: held-out images should be new, and {', '.join(told)}; " if told else ""

    @property
    def readers(self) -> list[str]:
        """What read the files that the two are compared by: the reference's, and others where the generated set's files
        were read otherwise."""
        ours, theirs = self.generated.readers, self.reference.readers
        return sorted({*ours, *theirs}) if ours and theirs else list(theirs)

    @property
    def told_rows(self) -> str:
        """How many rows scores of them have used."""
        return f"of {len_of(self.generated.rows)} generated and {len_of(self.reference.rows)} reference rows"

    @property
    def kid_subset_size(self) -> int:
        """Rows of each set in a subset of KID: as asked for, or half of those that were kept."""
        fewest = min(len_of(self.generated.rows), len_of(self.reference.rows))
        asked = self.settings.kid_subset_size
        return asked if asked < fewest else max(2, fewest // 2)

    @cached_property
    def neighbours(self) -> Neighbours | str:
        """Of the rows, or why there are too few of them."""
        found = self.rows(self.settings.nearest_k + 1)
        return (
            found
            if isinstance(found, str)
            else neighbours(*found, self.settings.nearest_k, self.settings.neighbourhood)
        )

    @cached_property
    def diversities(self) -> Mapping[str, Score]:
        """By their metrics: those of the generated rows, where they are wanted."""
        return _by_metric(score_diversity(self))

    @cached_property
    def copies(self) -> Mapping[str, Score]:
        """By their metrics: those of copying, where there are held-out images."""
        return _by_metric(score_copying(self))

    @cached_property
    def likelihoods(self) -> Mapping[str, Score]:
        """By their metrics: those of likelihood, where there are held-out images."""
        return _by_metric(score_likelihood(self))


def _by_metric(scores: list[Score]) -> Mapping[str, Score]:
    return {score.metric: score for score in scores}


def len_of(rows: Rows | None) -> int:
    """How many were kept."""
    return 0 if rows is None else len(rows.keys)


def _digests(features: Features) -> list[bytes]:
    """Of every kept row."""
    rows = [] if features.rows is None else features.rows.values.numpy()
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]


def _rows(features: Features, at_least: int) -> torch.Tensor | str:
    if features.rows is None:
        return f"{features.name} has mean and covariance only, take it anew by Image Features or Folder Features"
    if len(features.rows.keys) < at_least:
        return f"{features.name} keeps {len(features.rows.keys)} rows, at least {at_least} are needed"
    return features.rows.values
