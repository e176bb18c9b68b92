"""The `.npz` files of other packages, which do not say by which network they were taken.

Both packages keep float64 `mu` [D] and `sigma` [D, D] (unbiased) of a set. clean-fid keeps the features of its custom
sets too, as `feats` [N, D] in a second file whose name ends with `_kid.npz`. dgm-eval keeps `reps` [N, D], and Python
objects beside them, which are not read. ADM's reference batches have `mu_s` and `sigma_s` of sFID as well; their
pictures, `arr_0`, are read by `batches.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch

from ...errors import BadCheckpoint, BadInput
from ...files.atomic import locked, make_folder, sweep_parts
from ..extractors.base import Answers, Extractor
from ..metrics.frechet import Gaussian
from . import npz
from .feature_set import ROWS, Accumulator, Features, Tap, gaussian_of
from .keys import hash_keys
from .npz import Arrays

ROWS_OF: Final = ("feats", "reps")
"""What single features are called, by clean-fid and by dgm-eval."""
SPATIAL_MOMENTS: Final = ("mu_s", "sigma_s")
BATCH: Final = 1024
"""Rows that are added up at once."""


def read(arrays: Arrays, name: str, extractor: Extractor | None) -> Features:
    """Features of a file of mean and covariance, or of single features, at the main tap of the extractor.

    name: of the set. From `mu` and `sigma` comes a Gaussian of unknown count; single features become sums and rows.

    Raises:
        BadCheckpoint: the file has neither.
        BadInput: there is no extractor, or its features are of another size.
    """
    keys = arrays.file.files
    rows = next((key for key in ROWS_OF if key in keys), None)
    if not {"mu", "sigma"} <= set(keys) and rows is None:
        raise BadCheckpoint(
            f"features: {arrays.name} has neither 'mu' and 'sigma' nor 'feats' nor 'reps' but {_listed(keys)}; choose "
            "a file of this pack, of pytorch-fid, clean-fid, ADM or dgm-eval."
        )
    if extractor is None:
        raise BadInput(
            f"extractor: {arrays.name} does not say by which network it was taken; connect the one that did it, with "
            "the same resize."
        )
    return _from_moments(arrays, name, extractor) if rows is None else _from_rows(arrays, name, extractor, rows)


def write(path: Path, features: Features, overwrite: bool = False) -> None:
    """Mean and covariance at the main tap, as pytorch-fid and clean-fid read them.

    Raises:
        BadInput: the file is there already and may not be replaced, or there are fewer than two samples.
    """
    _, mean, covariance = gaussian_of(features.taps[0])
    make_folder(path.parent)
    sweep_parts(path.parent)
    with locked(path):
        if path.exists() and not overwrite:
            raise BadInput(
                f"file: {path.name} is there, and mean and covariance cannot be added to; switch overwrite on, or "
                "choose another name."
            )
        npz.write(path, {"mu": mean, "sigma": covariance})


def _from_moments(arrays: Arrays, name: str, extractor: Extractor) -> Features:
    taps = [_moments(arrays, "mu", "sigma", extractor, extractor.main)]
    if extractor.spatial is not None and set(SPATIAL_MOMENTS) <= set(arrays.file.files):
        taps.append(_moments(arrays, *SPATIAL_MOMENTS, extractor, extractor.spatial))
    return Features(name, extractor.source, tuple(taps), None, None, torch.empty(0, dtype=torch.int64))


def _moments(arrays: Arrays, first: str, second: str, extractor: Extractor, tap: str) -> Tap:
    mean = arrays.tensor(first, "float64", None)
    _check_size(arrays.name, len(mean), extractor, tap)
    return Tap(tap, Gaussian(0, mean, arrays.tensor(second, "float64", len(mean), len(mean))))


def _from_rows(arrays: Arrays, name: str, extractor: Extractor, key: str) -> Features:
    rows = arrays.tensor(key, "float32", None, None)
    count, size = rows.shape
    _check_size(arrays.name, size, extractor, extractor.main)
    digest = hashlib.sha256(rows.numpy().tobytes()).hexdigest()
    keys = hash_keys(f"row {digest} {number}" for number in range(count))
    accumulator = Accumulator(extractor.source, {extractor.main: size}, 0, max(ROWS, count))
    for part in torch.arange(count).split(BATCH):
        accumulator.add(keys[part], part, Answers((rows[part],), None))
    return accumulator.features(name)


def _check_size(file: str, size: int, extractor: Extractor, tap: str) -> None:
    expected = extractor.taps[tap]
    if size != expected:
        raise BadInput(
            f"extractor: {file} has features of size {size}, {extractor.source.extractor} has {expected}; connect the "
            "extractor that took them."
        )


def _listed(keys: Sequence[str]) -> str:
    return ", ".join(repr(key) for key in keys[:5]) or "nothing"
