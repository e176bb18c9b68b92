"""All scores of a generated set of features against a reference set, with what they came from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch

from ..errors import BadInput
from ..version import VERSION
from .features.digest import digest_of
from .features.feature_set import Features, Rows, Tap, check_comparable, gaussian_of
from .metrics.compound import compound_distance
from .metrics.frechet import Gaussian, frechet_distance
from .metrics.frechet_interval import LEVEL, frechet_infinity, frechet_interval
from .metrics.inception_score import inception_score
from .metrics.kernel import SUBSET_SIZE, SUBSETS, kernel_inception_distance
from .metrics.neighbours import NEAREST, neighbours
from .scores import Score, Scores

SPATIAL: Final = "spatial"
"""Name of sFID's tap. All others together, where there are several, are the depths of Compound FID."""
FEWEST_FOR_LIMIT: Final = 8
"""Rows without which the distance at infinity cannot be estimated."""
STRAIGHT: Final = 3
"""Times as many rows as dimensions from which that estimate can be relied upon."""
NO_ROWS: Final = "{name} has mean and covariance only, take it anew by Image Features or Folder Features"


@dataclass(frozen=True)
class Settings:
    """kid_subsets, kid_subset_size: of KID; where no more rows were kept, a subset is half of them.
    nearest_k: which neighbour makes the radius of precision, recall, density and coverage.
    subsets_seed: of the random subsets, 0 to 2^64 - 1."""

    kid_subsets: int = SUBSETS
    kid_subset_size: int = SUBSET_SIZE
    nearest_k: int = NEAREST
    subsets_seed: int = 0


def score(
    generated: Features,
    reference: Features,
    settings: Settings = Settings(),
    name: str = "",
    cost: Mapping[str, float] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Scores:
    """Every score that the two sets allow; of one that they do not, NaN, and its note says what is missing.

    Args:
        name: of the model, as tables show it; empty takes the generated set's.
        cost, provenance: further entries of the report.

    Raises:
        BadInput: the sets were taken in different ways, or one has fewer than two samples.
    """
    check_comparable(generated, reference)
    fid = _fid(generated, reference)
    found = (
        fid,
        _fid_infinity(generated, reference, fid.value, settings.subsets_seed),
        _kid(generated, reference, settings),
        _inception_score(generated),
        *_other_depths(generated, reference),
        *_neighbourhoods(generated, reference, settings.nearest_k),
    )
    taken = {**_provenance(generated, reference, settings), **(provenance or {})}
    return Scores(name or generated.name, found, cost or {}, taken)


def _fid(generated: Features, reference: Features) -> Score:
    ours, theirs = gaussian_of(generated.taps[0]), gaussian_of(reference.taps[0])
    notes = _warnings(generated, reference)
    if not _has(generated.rows, 2):
        return Score("fid", frechet_distance(ours, theirs), note="; ".join([*notes, "no interval, which needs rows"]))
    interval = frechet_interval(generated.rows.values, ours, theirs)
    notes.append(f"interval: {LEVEL:.0%} of repetitions with as many samples, jackknife")
    return Score("fid", interval.distance, None, interval.low, interval.high, "; ".join(notes))


def _warnings(generated: Features, reference: Features) -> list[str]:
    """Of sets with fewer samples than dimensions, whose distance says more of the number than of the samples."""
    size = len(generated.taps[0].statistics[1])
    return [
        f"warning: the {what} set has {of.count} samples for {size} dimensions, far too few: such a distance is too "
        "large and compares with equal numbers only"
        for what, of in (("generated", generated), ("reference", reference))
        if 0 < of.count < size
    ]


def _fid_infinity(generated: Features, reference: Features, fid: float, seed: int) -> Score:
    rows = generated.rows
    if not _has(rows, FEWEST_FOR_LIMIT):
        return Score("fid_infinity", math.nan, note=_missing(generated, FEWEST_FOR_LIMIT))
    count, size = rows.values.shape
    measured = (generated.count, fid) if generated.count > count else None
    found = frechet_infinity(rows.values, gaussian_of(reference.taps[0]), seed, measured=measured)
    notes = [f"line through {len(found.counts)} subsets of {count} rows, which it misses by {found.residual:.3g}"]
    if count < STRAIGHT * size:
        notes.append(f"warning: below {STRAIGHT * size} rows it is a rough guess")
    return Score("fid_infinity", found.limit, note="; ".join(notes))


def _kid(generated: Features, reference: Features, settings: Settings) -> Score:
    for of in (generated, reference):
        if not _has(of.rows, 2):
            return Score("kid", math.nan, note=_missing(of, 2))
    fewest = min(len(generated.rows.keys), len(reference.rows.keys))
    size = settings.kid_subset_size if settings.kid_subset_size < fewest else max(2, fewest // 2)
    found = kernel_inception_distance(
        generated.rows.values, reference.rows.values, settings.subsets_seed, settings.kid_subsets, size
    )
    note = f"{settings.kid_subsets} subsets of {size}, {_used(generated, reference)}"
    return Score("kid", found.mean, found.std, note=note)


def _inception_score(generated: Features) -> Score:
    if generated.classes is None:
        return Score("inception_score", math.nan, note=f"{generated.name} has no classes")
    try:
        found = inception_score(*generated.classes)
    except BadInput as error:
        return Score("inception_score", math.nan, note=str(error))
    return Score("inception_score", found.mean, found.std, note=f"{len(found.splits)} splits")


def _other_depths(generated: Features, reference: Features) -> list[Score]:
    """sFID and Compound FID, where both sets have the taps."""
    taps = {tap.name: tap for tap in reference.taps}
    shared = [(tap, taps[tap.name]) for tap in generated.taps if tap.name in taps]
    found = [Score("sfid", _distance(*pair)) for pair in shared if pair[0].name == SPATIAL]
    depths = [pair for pair in shared if pair[0].name != SPATIAL]
    if len(depths) > 1:
        sizes = [len(tap.statistics[1]) for tap, _ in depths]
        compound = compound_distance([_distance(*pair) for pair in depths], sizes, target=sizes[0])
        levels = ", ".join(f"{tap.name}: {level:.6g}" for (tap, _), level in zip(depths, compound.levels, strict=True))
        found.append(Score("compound_fid", compound.value, note=f"the largest of {levels}"))
    return found


def _distance(generated: Tap, reference: Tap) -> float:
    return frechet_distance(gaussian_of(generated), gaussian_of(reference))


def _neighbourhoods(generated: Features, reference: Features, k: int) -> list[Score]:
    metrics = ("precision", "recall", "density", "coverage")
    for of in (generated, reference):
        if not _has(of.rows, k + 1):
            return [Score(metric, math.nan, note=_missing(of, k + 1)) for metric in metrics]
    found = neighbours(generated.rows.values, reference.rows.values, k)
    note = f"k = {k}, {_used(generated, reference)}"
    return [Score(metric, getattr(found, metric), note=note) for metric in metrics]


def _has(rows: Rows | None, least: int) -> bool:
    return rows is not None and len(rows.keys) >= least


def _missing(features: Features, least: int) -> str:
    if features.rows is None:
        return NO_ROWS.format(name=features.name)
    return f"{features.name} keeps {len(features.rows.keys)} rows, at least {least} are needed"


def _used(generated: Features, reference: Features) -> str:
    return f"of {len(generated.rows.keys)} generated and {len(reference.rows.keys)} reference rows"


def _provenance(generated: Features, reference: Features, settings: Settings) -> dict[str, Any]:
    source = generated.source
    return {
        "extractor": {"name": source.extractor, "identity": source.identity, "resize": source.resize},
        "reference": {"name": reference.name, "identity": digest_of(reference), **_counts(reference)},
        **_counts(generated),
        "identity": digest_of(generated),
        "subsets": {
            "kid_subsets": settings.kid_subsets,
            "kid_subset_size": settings.kid_subset_size,
            "nearest_k": settings.nearest_k,
            "subsets_seed": settings.subsets_seed,
        },
        "versions": {"trilemma": VERSION, "torch": torch.__version__},
    }


def _counts(features: Features) -> dict[str, Any]:
    rows = features.rows
    return {
        "samples": features.count,
        "rows": len(rows.keys) if rows else 0,
        "rows_seed": rows.seed if rows else None,
        "statistics": "mu sigma" if isinstance(features.taps[0].statistics, Gaussian) else "sums",
    }
