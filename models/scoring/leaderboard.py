"""Scores of several models as ranked tables. Only what was taken in the same way is ranked together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ..errors import BadInput
from .metric import METRICS, Better
from .metrics.kernel import SUBSET_SIZE
from .metrics.neighbours import NEAREST
from .scores import Scores

COLUMNS: Final = {key: metric for key, metric in METRICS.items() if metric.column}
"""Metrics and costs that tables show, by their keys."""

FEW: Final = 2048
"""Samples below which a row is warned of: the least that FID of Inception's 2048 features asks for."""
WARNING: Final = "warning: "
"""Beginning of those parts of a score's note that a reader of the number has to know."""


@dataclass(frozen=True)
class Setting:
    """How a row was taken; empty text or 0 where its provenance does not tell. Rows of one setting are comparable.

    extractor, identity, resize: see extractors.Source. reference: name of the set that was compared with, and
    reference_identity its hash. samples: how many images were scored, and rows of how many of them KID, precision and
    recall were taken. nearest_k, kid_subset_size: settings of these.
    """

    extractor: str = ""
    identity: str = ""
    resize: str = ""
    reference: str = ""
    reference_identity: str = ""
    samples: int = 0
    rows: int = 0
    nearest_k: int = 0
    kid_subset_size: int = 0

    def __str__(self) -> str:
        told = [
            self.extractor,
            f"resize {self.resize}" if self.resize else "",
            f"against {self.reference}" if self.reference else "",
            f"{self.samples:,} samples" if self.samples else "",
            f"of which {self.rows:,} for KID, precision and recall" if self.rows not in (0, self.samples) else "",
            f"k = {self.nearest_k}" if self.nearest_k not in (0, NEAREST) else "",
            f"KID subsets of {self.kid_subset_size:,}" if self.kid_subset_size not in (0, SUBSET_SIZE) else "",
        ]
        return ", ".join(part for part in told if part) or "nothing is told of how it was taken"


@dataclass(frozen=True)
class Column:
    """key: of COLUMNS. label: as tables show it. better: which way."""

    key: str
    label: str
    better: Better


@dataclass(frozen=True)
class Row:
    """One model.

    name: unlike that of every other row. number: its place among what was given, from 0.
    rank: from 1 within its group, equal values alike; None where it lacks what is sorted by.
    warnings: what a reader has to know of its numbers.
    """

    name: str
    number: int
    scores: Scores
    rank: int | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """Rows that were taken in one way, the best first, and the columns that at least one of them has."""

    setting: Setting
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Leaderboard:
    """sort_by: key of the column that ranks. groups: one for each setting, in the order in which they came."""

    sort_by: str
    groups: tuple[Group, ...]


def leaderboard(scores: Sequence[Scores], sort_by: str = "fid") -> Leaderboard:
    """Rank the rows of each setting among each other, by a key of COLUMNS.

    Rows of other extractors, weights of extractors, resizes, references or numbers of samples come into groups of
    their own: their numbers cannot be compared.

    Raises:
        BadInput: no scores, or none that has what is sorted by.
    """
    if not scores:
        raise BadInput("scores_1: nothing is connected; connect the scores of at least one model.")
    if sort_by not in COLUMNS:
        raise BadInput(f"sort_by: there is no {sort_by!r}; choose one of {', '.join(COLUMNS)}.")
    if all(math.isnan(COLUMNS[sort_by].read(one).value) for one in scores):
        known = [key for key in COLUMNS if any(has(one, key) for one in scores)]
        raise BadInput(f"sort_by: no scores have {sort_by}; choose one of {', '.join(known) or 'nothing'}.")
    grouped: dict[Setting, list[Row]] = {}
    for number, (name, one) in enumerate(zip(_unlike([one.name for one in scores]), scores, strict=True)):
        setting = setting_of(one.provenance)
        grouped.setdefault(setting, []).append(Row(name, number, one, warnings=_warnings(one, setting)))
    groups = (
        Group(setting, columns_of(setting, [row.scores for row in rows]), _ranked(rows, sort_by))
        for setting, rows in grouped.items()
    )
    return Leaderboard(sort_by, tuple(groups))


def setting_of(provenance: Mapping[str, Any]) -> Setting:
    """What of a row's provenance decides with which rows it can be compared."""
    extractor, reference, subsets = (provenance.get(key) or {} for key in ("extractor", "reference", "subsets"))
    return Setting(
        extractor=extractor.get("name", ""),
        identity=extractor.get("identity", ""),
        resize=extractor.get("resize", ""),
        reference=reference.get("name", ""),
        reference_identity=reference.get("identity", ""),
        samples=provenance.get("samples", 0),
        rows=provenance.get("rows", 0),
        nearest_k=subsets.get("nearest_k", 0),
        kid_subset_size=subsets.get("kid_subset_size", 0),
    )


def has(scores: Scores, key: str) -> bool:
    """Whether a model has a number, or says why it has none, in a column."""
    found = COLUMNS[key].read(scores)
    return not math.isnan(found.value) or bool(found.note)


def columns_of(setting: Setting, scores: Sequence[Scores]) -> tuple[Column, ...]:
    """The columns that at least one of the models has, in the order of COLUMNS."""
    return tuple(
        Column(key, metric.label_by(setting.extractor), metric.better)
        for key, metric in COLUMNS.items()
        if any(has(one, key) for one in scores)
    )


def best(group: Group, column: Column) -> float:
    """The best value of a column, NaN where no row has one, or where all of several are equal."""
    values = [value for row in group.rows if not math.isnan(value := COLUMNS[column.key].read(row.scores).value)]
    if len(values) > 1 and len(set(values)) == 1:
        return math.nan
    return (max if column.better == "higher" else min)(values, default=math.nan)


def _unlike(names: Iterable[str]) -> list[str]:
    seen: Counter[str] = Counter()
    unlike = []
    for name in names:
        seen[name] += 1
        unlike.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return unlike


def _warnings(scores: Scores, setting: Setting) -> tuple[str, ...]:
    few = [f"few samples ({setting.samples:,}): small differences mean nothing"] if 0 < setting.samples < FEW else []
    notes = [(score, part) for score in scores.scores for part in score.note.split("; ")]
    told = [
        f"{METRICS[score.metric].label}: {part.removeprefix(WARNING)}"
        for score, part in notes
        if part.startswith(WARNING) or (part and math.isnan(score.value))
    ]
    return (*few, *told)


def _ranked(rows: Sequence[Row], sort_by: str) -> tuple[Row, ...]:
    sign = -1 if COLUMNS[sort_by].better == "higher" else 1
    keys = {row.number: sign * COLUMNS[sort_by].read(row.scores).value for row in rows}
    # Those without a value come last, and have no rank.
    ordered = sorted(rows, key=lambda row: (math.isnan(keys[row.number]), keys[row.number]))
    return tuple(replace(row, rank=_rank(keys[row.number], keys.values())) for row in ordered)


def _rank(key: float, keys: Iterable[float]) -> int | None:
    return None if math.isnan(key) else 1 + sum(other < key for other in keys)
