"""One option of a generator over many values: how it trades fidelity for diversity, or quality for time."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from ...errors import BadInput, CannotDo
from ...generators.binding import Bound
from ...generators.options import OPTIONS
from ...texts import SHOWN
from ..metric import METRICS, Better
from ..scores import Scores

SWEPT: Final = tuple(
    dict.fromkeys(
        name for options in OPTIONS.values() for name, option in options.items() if not isinstance(option.neutral, str)
    )
)
"""Options that are numbers, of any family."""


class Axes(NamedTuple):
    """Keys of metric.METRICS."""

    x: str
    y: str


CURVES: Final[Mapping[str, Axes]] = {
    "precision and recall": Axes("recall", "precision"),
    "FID and IS": Axes("inception_score", "fid"),
    "FID and seconds": Axes("seconds_per_image", "fid"),
}
"""What is set against what, by the name that users choose from."""


@dataclass(frozen=True)
class Sweep:
    """option: that was changed. values: ascending. scores: of each. knees: of each curve the place of its knee in
    `values`, None where it has none."""

    option: str
    values: tuple[float, ...]
    scores: tuple[Scores, ...]
    knees: Mapping[str, int | None]


def read_values(text: str, bound: Bound, option: str) -> list[tuple[float, Bound]]:
    """The values separated by commas, blanks or lines, ascending, each with the generator that it is bound to.

    A value that means the model's own, such as 0 steps, is given as that number.

    Raises:
        CannotDo: the generator has no such option; names those it has.
        BadInput: fewer than two values, one twice, one that is no number, or one outside the option's range.
    """
    descriptor = bound.generator.descriptor
    if option not in OPTIONS.get(descriptor.family, {}) or option not in descriptor.options:
        known = ", ".join(name for name in descriptor.options if name in SWEPT) or "none that is a number"
        raise CannotDo(f"option: {descriptor.architecture} has no {option}; its options: {known}.")
    neutral = OPTIONS[descriptor.family][option].neutral
    whole = isinstance(descriptor.options[option] if neutral is None else neutral, int)
    # A neutral value leaves what was set before, so nothing may have been; what it stands for is the model's own.
    plain = bound._replace(options={name: value for name, value in bound.options.items() if name != option})
    values = [_number(word, whole) for word in re.split(r"[\s,;]+", text) if word]
    found = {}
    for set_to in (plain.with_options(descriptor.family, {option: value}) for value in values):
        found[set_to.settings[option]] = set_to
    if len(found) < max(2, len(values)):
        raise BadInput(f"values: {text!r} are fewer than two, or one is there twice; write, for example, 0.5, 0.7, 1.")
    return sorted(found.items(), key=lambda pair: pair[0])


def _number(word: str, whole: bool) -> float:
    try:
        value = int(word) if whole else float(word)
    except ValueError:
        kind = "whole number" if whole else "number"
        raise BadInput(f"values: {word[:SHOWN]!r} is no {kind}; separate numbers by commas.") from None
    # Compared, not converted: a whole number may be longer than a float can hold.
    if not abs(value) <= sys.float_info.max:
        raise BadInput(f"values: {word[:SHOWN]!r} is no number that can be set; take it away.")
    return value


def sweep(option: str, values: Sequence[float], scores: Sequence[Scores]) -> Sweep:
    """Look for the knees. values: ascending. scores: of each."""
    knees = {
        name: knee(points(scores, axes), (METRICS[axes.x].better, METRICS[axes.y].better))
        for name, axes in CURVES.items()
    }
    return Sweep(option, tuple(values), tuple(scores), knees)


def points(scores: Sequence[Scores], axes: Axes) -> list[tuple[float, float]]:
    """A point for each value; NaN where a score is missing."""
    return [(METRICS[axes.x].read(one).value, METRICS[axes.y].read(one).value) for one in scores]


def _betters(axes: Axes) -> tuple[Better, Better]:
    return METRICS[axes.x].better, METRICS[axes.y].better


def knee(curve: Sequence[tuple[float, float]], better: tuple[Better, Better]) -> int | None:
    """The place of the point where more of one stops being worth the other; None where there is no such point.

    Kneedle's rule (Satopää et al. 2011, "Finding a 'Kneedle' in a Haystack"): both axes are scaled to 0..1, 1 being
    the best, and the knee is the point farthest beyond the straight line between the best in one and the best in the
    other. Points with a NaN do not count; where every point lies on the line or behind it, there is no knee.
    """
    places = [place for place, point in enumerate(curve) if all(map(math.isfinite, point))]
    if len(places) < 2:
        return None
    columns = zip(*(curve[place] for place in places), strict=True)
    sums = [sum(pair) for pair in zip(*map(_scaled, columns, better), strict=True)]
    greatest = max(sums)
    return places[sums.index(greatest)] if greatest > 1 + 1e-9 else None


def _scaled(values: Sequence[float], better: Better) -> list[float]:
    low, high = min(values), max(values)
    if low == high:
        # Nothing to trade: the other axis decides.
        return [1.0] * len(values)
    shares = [(value - low) / (high - low) for value in values]
    return shares if better == "higher" else [1 - share for share in shares]


def chosen(found: Sweep, curve: str) -> int:
    """The place of the curve's knee; where it has none, that of the lowest FID."""
    place = found.knees[curve]
    if place is not None:
        return place
    return min(range(len(found.values)), key=lambda place: found.scores[place].value("fid"))
