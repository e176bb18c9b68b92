"""Features as `.npz` files, which add up over machines and over runs of a queue."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from ...errors import BadCheckpoint, BadInput
from ...files.atomic import locked, make_folder, sweep_parts
from ..extractors.base import Extractor, Source
from ..metrics.frechet import Gaussian
from . import npz, published
from .feature_set import ClassSums, Features, Rows, Sums, Tap, check_source, merge
from .npz import Arrays

FORMAT: Final = 1
HEADER: Final = "header"


class Stored(NamedTuple):
    """What a file of ours holds. notes: what its writer put beside the features, in values that JSON knows."""

    features: Features
    notes: Mapping[str, Any]


def save(path: Path, features: Features, notes: Mapping[str, Any] | None = None) -> None:
    """Write the features, in place of what was there; writers that may meet take a lock first, as `append` does."""
    npz.write(path, _arrays(features, notes or {}))


def append(path: Path, features: Features, overwrite: bool = False) -> Features:
    """Add the features to those of a file, or begin it; the sum is what comes back.

    The file is as before when this fails, whenever it does. Others who append at the same time wait.
    overwrite: begin it anew where it is there.

    Raises:
        BadInput: the file has some of the samples already, or holds features that were taken in another way.
        BadCheckpoint: the file is broken, or not one of ours.
    """
    make_folder(path.parent)
    sweep_parts(path.parent)
    with locked(path):
        if path.exists() and not overwrite:
            before = load_stored(path).features
            repeated = int(torch.isin(features.keys, before.keys).sum())
            if repeated:
                raise BadInput(
                    f"features: {repeated} of the {features.count} samples of {features.name} are in {path.name} "
                    "already; add every sample once, or switch overwrite on to begin anew."
                )
            features = merge([before, features])
        save(path, features)
    return features


def load(path: Path, extractor: Extractor | None = None) -> Features:
    """Features of a file of ours, or of one of pytorch-fid and clean-fid (see `published.py`).

    extractor: that which took them; files of others do not say which one it was, files of ours are checked against it.

    Raises:
        MissingFile: there is none.
        BadCheckpoint: it is broken, or holds something else.
        BadInput: the extractor is missing, or another one.
    """
    with npz.opened(path) as arrays:
        if HEADER not in arrays.file.files:
            return published.read(arrays, path.stem, extractor)
    features = load_stored(path).features
    if extractor is not None:
        check_source(features, extractor.source)
        return features._replace(source=extractor.source)
    return features


def load_stored(path: Path) -> Stored:
    """A file of ours, with the notes that were saved beside the features.

    Raises:
        MissingFile, BadCheckpoint: see `load`.
    """
    with npz.opened(path) as arrays:
        if HEADER not in arrays.file.files:
            raise BadCheckpoint(f"features: {path.name} was not written by this pack; choose another file.")
        header = json.loads(arrays.text(HEADER))
        if header["format"] != FORMAT:
            raise BadCheckpoint(
                f"features: {path.name} is written in format {header['format']}, known is {FORMAT}; update the pack."
            )
        if not isinstance(header["notes"], dict):
            raise BadCheckpoint(f"features: the notes of {path.name} are damaged; take it anew.")
        return Stored(_features(arrays, header), header["notes"])


def _arrays(features: Features, notes: Mapping[str, Any]) -> dict[str, torch.Tensor | str]:
    classes, rows = features.classes, features.rows
    header = {
        "format": FORMAT,
        "name": features.name,
        "source": asdict(features.source),
        "readers": features.readers,
        "taps": [
            {
                "name": tap.name,
                "size": len(tap.statistics[1]),
                "count": tap.statistics.count,
                "sums": isinstance(tap.statistics, Sums),
            }
            for tap in features.taps
        ],
        "splits": None if classes is None else len(classes.counts),
        "rows": None
        if rows is None
        else {"capacity": rows.capacity, "seed": rows.seed, "drawn": rows.drawn_with is not None},
        "versions": {"torch": torch.__version__},
        "notes": notes,
    }
    arrays: dict[str, torch.Tensor | str] = {HEADER: json.dumps(header), "keys": features.keys}
    for number, tap in enumerate(features.taps):
        _, first, second = tap.statistics
        arrays |= {f"tap_{number}_first": first, f"tap_{number}_second": second}
    if classes is not None:
        arrays |= {f"class_{field}": value for field, value in classes._asdict().items()}
    if rows is not None:
        arrays |= {"row_keys": rows.keys, "row_values": rows.values}
        if rows.drawn_with is not None:
            arrays["row_seeds"] = rows.drawn_with
    return arrays


def _features(arrays: Arrays, header: Mapping[str, Any]) -> Features:
    keys = arrays.tensor("keys", "int64", None)
    taps = tuple(_tap(arrays, number, tap) for number, tap in enumerate(header["taps"]))
    features = Features(
        header["name"],
        Source(**header["source"]),
        taps,
        None if header["splits"] is None else _classes(arrays, header["splits"]),
        None if header["rows"] is None else _rows(arrays, header["rows"], len(taps[0].statistics[1])),
        keys,
        # Since 0.2.
        tuple(header.get("readers", ())),
    )
    _check_counts(features, arrays.name)
    return features


def _tap(arrays: Arrays, number: int, told: Mapping[str, Any]) -> Tap:
    size = told["size"]
    first = arrays.tensor(f"tap_{number}_first", "float64", size)
    second = arrays.tensor(f"tap_{number}_second", "float64", size, size)
    return Tap(told["name"], (Sums if told["sums"] else Gaussian)(told["count"], first, second))


def _classes(arrays: Arrays, splits: int) -> ClassSums:
    return ClassSums(
        arrays.tensor("class_counts", "int64", splits),
        arrays.tensor("class_probabilities", "float64", splits, None),
        arrays.tensor("class_negative_entropies", "float64", splits),
    )


def _rows(arrays: Arrays, told: Mapping[str, Any], size: int) -> Rows:
    values = arrays.tensor("row_values", "float32", None, size)
    # Since 0.2.
    seeds = arrays.tensor("row_seeds", "int64", len(values)) if told.get("drawn") else None
    return Rows(told["capacity"], told["seed"], arrays.tensor("row_keys", "int64", len(values)), values, seeds)


def _check_counts(features: Features, name: str) -> None:
    """What the file says of its samples, several times over, must agree."""
    sums = isinstance(features.taps[0].statistics, Sums)
    count, rows = features.count, features.rows
    agree = (
        all(tap.statistics.count == count for tap in features.taps)
        and len(features.keys) == (count if sums else 0)
        and bool((features.keys[1:] > features.keys[:-1]).all())
        and (features.classes is None or int(features.classes.counts.sum()) == count)
        and (rows is not None or not sums)
        and (rows is None or not sums or len(rows.keys) == min(rows.capacity, count))
    )
    if not agree:
        raise BadCheckpoint(f"features: the arrays of {name} do not fit each other; take it anew.")
