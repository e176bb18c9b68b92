"""The three sides of the generative learning trilemma (Xiao et al. 2022): quality, coverage, speed, and their front."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from .leaderboard import Group
from .metric import METRICS, Better, keys_of

QUALITIES, COVERAGES = keys_of("quality"), keys_of("coverage")
(SPEED,) = keys_of("speed")
TICKS: Final = 6
"""At most so many on an axis."""


@dataclass(frozen=True)
class Axis:
    """One side of the trilemma, from the worst at 0 to the best at 1.

    key, label, better: see leaderboard.Column. worst, best: values at the ends. logarithmic: else linear.
    """

    key: str
    label: str
    better: Better
    worst: float
    best: float
    logarithmic: bool

    def position(self, value: float) -> float:
        """0 at the worst end, 1 at the best one."""
        if self.logarithmic:
            return math.log(value / self.worst) / math.log(self.best / self.worst)
        return (value - self.worst) / (self.best - self.worst)

    @property
    def ticks(self) -> tuple[float, ...]:
        """Round values within the ends, worst first."""
        low, high = sorted((self.worst, self.best))
        found = _log_ticks(low, high) if self.logarithmic else _linear_ticks(low, high)
        return tuple(found if self.worst == low else reversed(found))


@dataclass(frozen=True)
class Place:
    """One model in the plot.

    name, number: of its row. values: of quality, coverage and speed. position: 0..1 on these axes.
    front: whether no other model is as good on all three axes and better on one.
    """

    name: str
    number: int
    values: tuple[float, float, float]
    position: tuple[float, float, float]
    front: bool


@dataclass(frozen=True)
class Trilemma:
    """axes: quality, coverage, speed; empty where no model has all three. places: of the models that have.
    missing: name of every other model -> what it lacks."""

    axes: tuple[Axis, ...]
    places: tuple[Place, ...]
    missing: tuple[tuple[str, str], ...]


def trilemma(group: Group, quality: str = "fid", coverage: str = "recall") -> Trilemma:
    """Where each model of a group stands.

    Quality is one of QUALITIES, coverage one of COVERAGES, speed images per second. Shares are linear from 0 to 1;
    the speed, and positive scores of which less is better (FID), are logarithmic between round numbers around the
    models' values; other scores are linear from 0, or from a round number around the lowest value below it.
    A model that lacks one of the three, or has it only as infinity, is not drawn but named in `missing`.
    """
    keys = (quality, coverage, SPEED)
    values = {row.number: _three(METRICS[key].read(row.scores).value for key in keys) for row in group.rows}
    drawn = [row for row in group.rows if all(map(math.isfinite, values[row.number]))]
    missing = tuple(
        (
            row.name,
            ", ".join(
                METRICS[key].name_by(group.extractor)
                for key, v in zip(keys, values[row.number], strict=True)
                if not math.isfinite(v)
            ),
        )
        for row in group.rows
        if row not in drawn
    )
    if not drawn:
        return Trilemma((), (), missing)
    columns = zip(keys, zip(*(values[row.number] for row in drawn), strict=True), strict=True)
    axes = tuple(axis_of(key, column, group.extractor) for key, column in columns)
    positions = [
        _three(axis.position(value) for axis, value in zip(axes, values[row.number], strict=True)) for row in drawn
    ]
    places = tuple(
        Place(row.name, row.number, values[row.number], position, front)
        for row, position, front in zip(drawn, positions, pareto(positions), strict=True)
    )
    return Trilemma(axes, places, missing)


def _three(values: Iterable[float]) -> tuple[float, float, float]:
    quality, coverage, speed = values
    return quality, coverage, speed


def pareto(points: Sequence[Sequence[float]]) -> list[bool]:
    """Of each point, higher being better in every coordinate, whether none dominates it: equal points do not."""
    return [not any(_dominates(other, point) for other in points) for point in points]


def axis_of(key: str, values: Sequence[float], extractor: str) -> Axis:
    """An axis around finite values."""
    metric = METRICS[key]
    better = metric.better
    low, high = min(values), max(values)
    logarithmic = metric.axis == "speed" or (better == "lower" and low > 0)
    if metric.unit == "share":
        low, high = 0.0, 1.0
    elif logarithmic:
        low, high = _below(low), _above(high)
    else:
        low, high = -_above(-low) if low < 0 else 0.0, _above(high) if high > 0 else 0.0
    if low == high:
        high = low + 1
    worst, best = (low, high) if better == "higher" else (high, low)
    return Axis(key, metric.label_by(extractor), better, worst, best, logarithmic)


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def _round_numbers(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten from below `low` to above `high`, both positive."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    return [float(f"{digit}e{power}") for power in powers for digit in (1, 2, 5)]


def _below(value: float) -> float:
    """The next round number that is less."""
    return max(number for number in _round_numbers(value, value) if number < value * (1 - 1e-9))


def _above(value: float) -> float:
    """The next round number that is more."""
    return min(number for number in _round_numbers(value, value) if number > value * (1 + 1e-9))


def _log_ticks(low: float, high: float) -> list[float]:
    within = [number for number in _round_numbers(low, high) if low * (1 - 1e-9) <= number <= high * (1 + 1e-9)]
    if len(within) <= TICKS:
        return within
    tens = [number for number in within if f"{number:e}".startswith("1.0")]
    return tens[:: math.ceil(len(tens) / TICKS)]


def _linear_ticks(low: float, high: float) -> list[float]:
    step = min(number for number in _round_numbers(high - low, high - low) if (high - low) / number <= TICKS - 1)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]
