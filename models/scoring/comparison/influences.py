"""How much each sample of a generated set matters for its scores: what resampling needs, without scoring anew.

The influence of a sample on a smooth statistic is the derivative of the statistic by the sample's weight, times the
number of samples (Efron 1982): resampled, the statistic moves by the mean influence of what was drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist
from typing import Final, NamedTuple

import torch

from ..metrics.frechet_interval import LEVEL
from ..set_pair import SetPair, len_of

_BLOCK: Final = 1024


class Influences(NamedTuple):
    """values: float64 [K], of a random part of the samples, or all; only their differences matter.
    seeds: int64 [K], what pairs them with samples of other models; None where nothing does.
    count: of all samples, N. The standard error is the standard deviation of the values over N^(1/2).
    unseen: a further standard error, independent, of what does not vary among these samples and may among others.
    """

    values: torch.Tensor
    seeds: torch.Tensor | None
    count: int
    unseen: float = 0.0

    @property
    def standard_error(self) -> float:
        """Of the score, in a repetition with as many samples against the same reference."""
        seen = float(self.values.std()) / self.count**0.5 if len(self.values) > 1 else 0.0
        return math.hypot(seen, self.unseen)

    def of_share(self) -> Influences:
        """The same, where the score is a share: of outcomes that are all alike resampling would make a certainty."""
        alike = self.unseen == 0 and bool((self.values == self.values[0]).all())
        return self._replace(unseen=error_of_alike(self.count)) if alike else self


def error_of_alike(count: int) -> float:
    """Standard error to go by of a share of `count` outcomes that are all alike: by its exact 95 % limit, which is
    1 - 0.025^(1/N) away (Clopper and Pearson 1934)."""
    tail = (1 - LEVEL) / 2
    return (1 - tail ** (1 / count)) / NormalDist().inv_cdf(1 - tail)


InfluencesOf = Callable[[str], "Influences | None"]
"""By the key of a metric; None where they are not known."""


def of_pair(pair: SetPair, metric: str) -> Influences | None:
    """Of features' scores: FID, KID, precision, recall, density and coverage.

    For precision, recall, density and coverage the radii stay as they are. A sample that alone covers n reference ones
    has the influence n on recall and coverage, by which their error is too large rather than too small (Efron and Stein
    1981).
    """
    rows = pair.generated.rows
    if rows is None or len_of(rows) < 2 or metric not in _OF_PAIR or isinstance(pair.rows(2), str):
        return None
    values = _OF_PAIR[metric](pair)
    return None if values is None else Influences(values, rows.drawn_with, pair.generated.count)


def of_images(values: Mapping[str, Sequence[float]]) -> InfluencesOf:
    """Of scores that are means over images; image i of one model pairs with image i of another.

    values: metric -> one number per image; NaN and infinite ones have no influence that could be told.
    """

    def find(metric: str) -> Influences | None:
        found = torch.tensor(values.get(metric, ()), dtype=torch.float64)
        if not len(found) or not found.isfinite().all():
            return None
        return Influences(found, torch.arange(len(found)), len(found))

    return find


def _fid(pair: SetPair) -> torch.Tensor | None:
    return pair.interval.influences if pair.interval else None


def _kid(pair: SetPair) -> torch.Tensor:
    """2 (mean k(x, x') over the other samples - mean k(x, y) over the reference)."""
    ours, theirs = _both(pair)
    own = torch.cat([_kernel(part, ours).sum(dim=1) for part in ours.split(_BLOCK)])
    own -= (ours.square().sum(dim=1, dtype=torch.float64) / ours.shape[1] + 1) ** 3
    other = torch.cat([_kernel(part, theirs).sum(dim=1) for part in ours.split(_BLOCK)])
    return 2 * (own / (len(ours) - 1) - other / len(theirs))


def _kernel(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (x @ y.T).div_(x.shape[1]).add_(1).double() ** 3


def _precision(pair: SetPair) -> torch.Tensor | None:
    found = pair.neighbours
    return None if isinstance(found, str) else (found.memberships > 0).double()


def _density(pair: SetPair) -> torch.Tensor | None:
    found = pair.neighbours
    return None if isinstance(found, str) else found.memberships.double() / found.k


def _coverage(pair: SetPair) -> torch.Tensor | None:
    found = pair.neighbours
    return None if isinstance(found, str) else _alone(pair, found.reference_radii[:, None])


def _recall(pair: SetPair) -> torch.Tensor | None:
    found = pair.neighbours
    return None if isinstance(found, str) else _alone(pair, found.generated_radii[None, :])


def _alone(pair: SetPair, radii: torch.Tensor) -> torch.Tensor:
    """N times the share of the reference that each generated sample alone has within the radii [M, 1] or [1, N]."""
    ours, theirs = _both(pair)
    found = torch.zeros(len(ours), dtype=torch.float64)
    for start in range(0, len(theirs), _BLOCK):
        part = slice(start, start + _BLOCK)
        inside = torch.cdist(theirs[part], ours) < (radii[part] if len(radii) > 1 else radii)
        single = inside[inside.sum(dim=1) == 1]
        found += single.sum(dim=0, dtype=torch.float64)
    return found * len(ours) / len(theirs)


def _both(pair: SetPair) -> tuple[torch.Tensor, torch.Tensor]:
    found = pair.rows(2)
    assert not isinstance(found, str)  # `of_pair` has asked
    return found


_OF_PAIR: Final[Mapping[str, Callable[[SetPair], torch.Tensor | None]]] = {
    "fid": _fid,
    # The limit moves with the distance; what the line's own noise adds is not known.
    "fid_infinity": _fid,
    "kid": _kid,
    "precision": _precision,
    "recall": _recall,
    "density": _density,
    "coverage": _coverage,
}
