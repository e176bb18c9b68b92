"""The best and the worst of many samples: nearest to the reference, and farthest from it, in feature space."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import torch

from ..features.feature_set import Features, gaussian_of

KEPT: Final = 64
"""Of each, whatever the number of samples."""
_BLOCK: Final = 1024


class Candidate(NamedTuple):
    """distance: to the nearest reference row, in units of the features. index: place in the run."""

    distance: float
    index: int


class Candidates:
    """The KEPT nearest and farthest samples so far, equal distances in the order of the run.

    nearest, farthest: the most extreme first.
    """

    def __init__(self, reference: Features) -> None:
        """A reference without rows is represented by its mean."""
        rows = reference.rows
        mean = gaussian_of(reference.taps[0]).mean[None]
        self._anchors = rows.values if rows is not None and len(rows.values) else mean
        self.nearest: list[Candidate] = []
        self.farthest: list[Candidate] = []

    def add(self, indices: Sequence[int], values: torch.Tensor) -> None:
        """values: features [N, D] of samples at these places."""
        found = [Candidate(*pair) for pair in zip(self._distances(values).tolist(), indices, strict=True)]
        self.nearest = _nearest([*self.nearest, *found])
        self.farthest = _farthest([*self.farthest, *found])

    def _distances(self, values: torch.Tensor) -> torch.Tensor:
        exact = values.double()
        parts = [torch.cdist(exact, part.double()).amin(dim=1) for part in self._anchors.split(_BLOCK)]
        return torch.stack(parts).amin(dim=0)

    def state(self) -> dict[str, Any]:
        """For `resume`, in values that JSON knows."""
        return {"nearest": self.nearest, "farthest": self.farthest}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Begin with those of another part of the run."""
        self.nearest = [Candidate(*pair) for pair in state["nearest"]]
        self.farthest = [Candidate(*pair) for pair in state["farthest"]]


def merge(states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The state of one pass over all samples of several, whatever their order; they share none."""
    nearest, farthest = (
        [Candidate(*pair) for state in states for pair in state[end]] for end in ("nearest", "farthest")
    )
    return {"nearest": _nearest(nearest), "farthest": _farthest(farthest)}


def _nearest(found: Sequence[Candidate]) -> list[Candidate]:
    return heapq.nsmallest(KEPT, found)


def _farthest(found: Sequence[Candidate]) -> list[Candidate]:
    return heapq.nsmallest(KEPT, found, key=lambda each: (-each.distance, each.index))
