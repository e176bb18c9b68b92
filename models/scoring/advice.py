"""Which family serves which use, from the rows of a leaderboard and what the user weighs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from ..errors import BadInput
from .comparison.differences import INCONCLUSIVE, differences
from .comparison.estimates import estimate
from .leaderboard import COLUMNS, EXACT, Group, Row
from .metric import METRICS
from .reports.numbers import number
from .trilemma import SPEED, axis_of

MEMORY: Final = "peak_bytes"
NAMED: Final = "weights: "
"""Beginning of errors."""
FAMILIES: Final[Mapping[str, str]] = {
    "vae": "a VAE",
    "gan": "a GAN",
    "autoregressive": "an autoregressive model",
    "diffusion": "a diffusion model",
}


def advise(group: Group, weights: Mapping[str, float], quality: str = "fid", coverage: str = "recall") -> str:
    """One sentence: for each axis that weighs something who serves it best, and who serves all of them as weighed.

    Rows that are not told apart from the best are named along. All of them together: the mean, by the weights, of the
    places on the axes, each from 0 at the worst to 1 at the best, as the trilemma plot draws them; rows that lack an
    axis do not count there.

    weights: of quality, coverage, speed, memory; at least 0. quality, coverage: the scores that stand for them.

    Raises:
        BadInput: no axis weighs anything, or no row has one that does.
    """
    weighed = _weighed(weights, quality, coverage)
    served = {axis: key for axis, key in weighed.items() if _having(group, key)}
    if not served:
        missing = ", ".join(METRICS[key].name_by(group.extractor) for key in weighed.values())
        raise BadInput(f"{NAMED}no row has {missing}; weigh what the rows have.")
    parts = [f"for {axis} {_named(group, _leaders(group, key), key)}" for axis, key in served.items()]
    if len(served) > 1 and (best := _balanced(group, served, weights)):
        ratio = " : ".join(f"{weights[axis]:g}" for axis in served)
        both = _listed([_row(row) for row in best], "or")
        parts.append(f"for {_listed(list(served), 'and')} weighed {ratio}, {both}")
    text = "; ".join(parts)
    lacking = [axis for axis in weighed if axis not in served]
    end = f" (no row tells of {_listed(lacking, 'and')})" if lacking else ""
    return f"Use {text}{end}."


def advice(
    groups: Sequence[Group], weights: Mapping[str, float], quality: str = "fid", coverage: str = "recall"
) -> str:
    """`advise` of every group that has an axis that weighs something, a line for each; of the others it says so.

    Raises:
        BadInput: no axis weighs anything.
    """
    _weighed(weights, quality, coverage)
    return "\n".join(_line(group, weights, quality, coverage) for group in groups)


def _line(group: Group, weights: Mapping[str, float], quality: str, coverage: str) -> str:
    try:
        return advise(group, weights, quality, coverage)
    except BadInput as error:
        return f"No advice for {group.heading}: {str(error).removeprefix(NAMED)}"


def _weighed(weights: Mapping[str, float], quality: str, coverage: str) -> dict[str, str]:
    """Axes that weigh something, and the keys of what stands for them."""
    keys = {"quality": quality, "coverage": coverage, "speed": SPEED, "memory": MEMORY}
    weighed = {axis: key for axis, key in keys.items() if weights.get(axis, 0.0) > 0}
    if not weighed:
        raise BadInput(f"{NAMED}all are 0; give at least one of quality, coverage, speed and memory some weight.")
    return weighed


def _having(group: Group, key: str) -> list[Row]:
    return [row for row in group.rows if math.isfinite(COLUMNS[key].read(row.scores).value)]


def _leaders(group: Group, key: str) -> list[Row]:
    """The best row, and those that are not told apart from it, the best first."""
    higher = COLUMNS[key].better == "higher"
    sign = -1 if higher else 1
    rows = sorted(_having(group, key), key=lambda row: sign * COLUMNS[key].read(row.scores).value)
    estimates = [estimate(row.scores, key, row.runs) for row in rows]
    found = differences(estimates, higher, inconclusive=0.0 if key in EXACT else INCONCLUSIVE)
    behind = {each.second for each in found if each.first == 0 and each.told_apart}
    return [row for place, row in enumerate(rows) if place not in behind]


def _named(group: Group, rows: Sequence[Row], key: str) -> str:
    name = METRICS[key].name_by(group.extractor)
    told = [f"{_row(row)} ({name} {number(key, COLUMNS[key].read(row.scores).value)})" for row in rows]
    return told[0] if len(told) == 1 else f"{_listed(told, 'or')}, which are not told apart"


def _row(row: Row) -> str:
    family = FAMILIES.get((row.scores.provenance.get("generator") or {}).get("family", ""), "")
    return f"{family}, {row.name}" if family else row.name


def _balanced(group: Group, keys: Mapping[str, str], weights: Mapping[str, float]) -> list[Row]:
    """The rows of the highest weighted mean; several where they are equal."""
    rows = [row for row in group.rows if all(row in _having(group, key) for key in keys.values())]
    if not rows:
        return []
    means = [0.0] * len(rows)
    for axis, key in keys.items():
        values = [COLUMNS[key].read(row.scores).value for row in rows]
        scale = axis_of(key, values, group.extractor)
        for place, value in enumerate(values):
            means[place] += weights[axis] * scale.position(value)
    return [row for row, mean in zip(rows, means, strict=True) if math.isclose(mean, max(means), rel_tol=1e-9)]


def _listed(words: Sequence[str], join: str) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {join} {words[-1]}"
