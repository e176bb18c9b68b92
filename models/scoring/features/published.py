"""The `.npz` files of pytorch-fid and clean-fid, which do not say by which network they were taken.

Both packages keep float64 `mu` [D] and `sigma` [D, D] (unbiased) of a set. clean-fid keeps the features of its custom
sets too, as `feats` [N, D] in a second file whose name ends with `_kid.npz`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch

from ...errors import BadCheckpoint, BadInput
from ...files.atomic import locked, sweep_parts
from ..extractors.base import Answers, Extractor
from ..metrics.frechet import Gaussian
from . import npz
from .feature_set import ROWS, Accumulator, Features, Tap, gaussian_of
from .keys import hash_keys
from .npz import Arrays

BATCH: Final = 1024
"""Rows that are added up at once."""


def read(arrays: Arrays, name: str, extractor: Extractor | None) -> Features:
    """Features of a file of mean and covariance, or of single features, at the main tap of the extractor.

    name: of the set. From `mu` and `sigma` comes a Gaussian of unknown count; `feats` become sums and rows.

    Raises:
        BadCheckpoint: the file has neither.
        BadInput: there is no extractor, or its features are of another size.
    """
    keys = arrays.file.files
    if not {"mu", "sigma"} <= set(keys) and "feats" not in keys:
        raise BadCheckpoint(
            f"features: {arrays.name} has neither 'mu' and 'sigma' nor 'feats' but {_listed(keys)}; choose a file of "
            "this pack, of pytorch-fid or of clean-fid."
        )
    if extractor is None:
        raise BadInput(
            f"extractor: {arrays.name} does not say by which network it was taken; connect the one that did it, with "
            "the same resize."
        )
    return _from_rows(arrays, name, extractor) if "feats" in keys else _from_moments(arrays, name, extractor)


def write(path: Path, features: Features, overwrite: bool = False) -> None:
    """Mean and covariance at the main tap, as pytorch-fid and clean-fid read them.

    Raises:
        BadInput: the file is there already and may not be replaced, or there are fewer than two samples.
    """
    _, mean, covariance = gaussian_of(features.taps[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep_parts(path.parent)
    with locked(path):
        if path.exists() and not overwrite:
            raise BadInput(
                f"file: {path.name} is there, and mean and covariance cannot be added to; switch overwrite on, or "
                "choose another name."
            )
        npz.write(path, {"mu": mean, "sigma": covariance})


def _from_moments(arrays: Arrays, name: str, extractor: Extractor) -> Features:
    mean = arrays.tensor("mu", "float64", None)
    _check_size(arrays.name, len(mean), extractor)
    covariance = arrays.tensor("sigma", "float64", len(mean), len(mean))
    taps = (Tap(extractor.main, Gaussian(0, mean, covariance)),)
    return Features(name, extractor.source, taps, None, None, torch.empty(0, dtype=torch.int64))


def _from_rows(arrays: Arrays, name: str, extractor: Extractor) -> Features:
    rows = arrays.tensor("feats", "float32", None, None)
    count, size = rows.shape
    _check_size(arrays.name, size, extractor)
    digest = hashlib.sha256(rows.numpy().tobytes()).hexdigest()
    keys = hash_keys(f"row {digest} {number}" for number in range(count))
    accumulator = Accumulator(extractor.source, {extractor.main: size}, 0, max(ROWS, count))
    for part in torch.arange(count).split(BATCH):
        accumulator.add(keys[part], part, Answers((rows[part],), None))
    return accumulator.features(name)


def _check_size(file: str, size: int, extractor: Extractor) -> None:
    expected = extractor.taps[extractor.main]
    if size != expected:
        raise BadInput(
            f"extractor: {file} has features of size {size}, {extractor.source.extractor} has {expected}; connect the "
            "extractor that took them."
        )


def _listed(keys: Sequence[str]) -> str:
    return ", ".join(repr(key) for key in keys[:5]) or "nothing"
