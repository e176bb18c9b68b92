"""One option of a generator over many values: how it trades fidelity for diversity, or quality for time."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from ...errors import BadInput, CannotDo
from ...generators.binding import Bound
from ...generators.options import OPTIONS
from ..scores import METRICS, Better, Scores, extractor_of, label_of, to_json

SECONDS: Final = "seconds_per_image"
SWEPT: Final = tuple(
    dict.fromkeys(
        name for options in OPTIONS.values() for name, option in options.items() if not isinstance(option.neutral, str)
    )
)
"""Options that are numbers, of any family."""


class Axes(NamedTuple):
    """Keys of report.METRICS, or SECONDS."""

    x: str
    y: str


CURVES: Final[Mapping[str, Axes]] = {
    "precision and recall": Axes("recall", "precision"),
    "FID and IS": Axes("inception_score", "fid"),
    "FID and seconds": Axes(SECONDS, "fid"),
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
    whole = isinstance(OPTIONS[descriptor.family][option].neutral, int)
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
        raise BadInput(f"values: {word!r} is no {kind}; separate numbers by commas.") from None
    if not math.isfinite(value):
        raise BadInput(f"values: {word!r} is no number that can be set; take it away.")
    return value


def sweep(option: str, values: Sequence[float], scores: Sequence[Scores]) -> Sweep:
    """Look for the knees. values: ascending. scores: of each."""
    knees = {name: knee(points(scores, axes), (better_of(axes.x), better_of(axes.y))) for name, axes in CURVES.items()}
    return Sweep(option, tuple(values), tuple(scores), knees)


def points(scores: Sequence[Scores], axes: Axes) -> list[tuple[float, float]]:
    """A point for each value; NaN where a score is missing."""
    return [(value_of(one, axes.x), value_of(one, axes.y)) for one in scores]


def value_of(scores: Scores, key: str) -> float:
    """A metric, or a cost; NaN where it is missing."""
    return scores.cost.get(key, math.nan) if key == SECONDS else scores.value(key)


def better_of(key: str) -> Better:
    """Which way is better."""
    return "lower" if key == SECONDS else METRICS[key][1]


def name_of(key: str, extractor: str) -> str:
    """How an axis is called."""
    return "seconds per image" if key == SECONDS else label_of(key, extractor)


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


def to_json_text(found: Sweep) -> str:
    """Everything as JSON; `knees` holds values of the option."""
    told: dict[str, Any] = {
        "option": found.option,
        "values": list(found.values),
        "knees": {name: None if place is None else found.values[place] for name, place in found.knees.items()},
        "scores": [json.loads(to_json(scores)) for scores in found.scores],
    }
    return json.dumps(told, indent=2, ensure_ascii=False)


def describe(found: Sweep) -> str:
    """A table with a line for each value, and where the knees are."""
    extractor = extractor_of(found.scores[0])
    keys = ("fid", "inception_score", "precision", "recall", SECONDS)
    table = [[found.option, *(name_of(key, "") for key in keys)]]
    for value, scores in zip(found.values, found.scores, strict=True):
        numbers = [value_of(scores, key) for key in keys]
        table.append([f"{value:g}", *("-" if math.isnan(number) else f"{number:.4g}" for number in numbers)])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in table]
    told = found.scores[0].provenance
    lines.insert(0, f"features: {extractor}, resize {told['extractor']['resize']}, {told['samples']} samples each")
    for name, place in found.knees.items():
        where = "none" if place is None else f"{found.option} = {found.values[place]:g}"
        lines.append(f"knee of {name}: {where}")
    return "\n".join(lines)
