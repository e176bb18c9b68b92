"""Batches of pictures in `.npz` files, as ADM keeps samples and references: `arr_0`, uint8 [N, H, W, 3]."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Final, NamedTuple

import numpy as np
import torch

from ...errors import BadCheckpoint
from ...files.numpy_arrays import read_header
from ..extractors.base import Extractor
from . import npz, published
from .extraction import Named
from .feature_set import Features
from .keys import name_by_place

PICTURES: Final = "arr_0"
MEMBER: Final = f"{PICTURES}.npy"


class Batch(NamedTuple):
    """count: of its pictures. height, width: in pixels. moments: whether `mu` and `sigma` lie beside them."""

    path: Path
    count: int
    height: int
    width: int
    moments: bool


def batch_at(path: Path) -> Batch | None:
    """What a file holds; None where it has no pictures.

    Raises:
        MissingFile: there is none.
        BadCheckpoint: it is broken, or what it calls so are no pictures.
    """
    with npz.opened(path) as arrays:
        keys = arrays.file.files
        if PICTURES not in keys:
            return None
        with zipfile.ZipFile(path) as archive, archive.open(MEMBER) as stream:
            shape, dtype = _header(archive, stream, path.name)
    if dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or not shape[0]:
        raise BadCheckpoint(
            f"features: {PICTURES} of {path.name} is {dtype} of shape {shape}, not uint8 of n x height x width x 3."
        )
    return Batch(path, *shape[:3], {"mu", "sigma"} <= set(keys))


def take(batch: Batch, extractor: Extractor, extract: Callable[[Iterable[Named]], Features], name: str) -> Features:
    """The set, whose pictures `extract` describes one after the other.

    Where mean and covariance lie beside them these are the set's, since they are of more pictures (of all that ADM's
    references stand for); the pictures' own features are then its rows alone.

    Raises:
        BadCheckpoint: the file is broken.
    """
    pictures = extract(_pictures(batch))._replace(name=name)
    if not batch.moments:
        return pictures
    with npz.opened(batch.path) as arrays:
        return published.read(arrays, name, extractor)._replace(rows=pictures.rows)


def _pictures(batch: Batch) -> Iterator[Named]:
    size = batch.height * batch.width * 3
    with (
        npz.opened(batch.path),
        zipfile.ZipFile(batch.path) as archive,
        archive.open(MEMBER) as stream,
    ):
        _header(archive, stream, batch.path.name)
        for index in range(batch.count):
            content = stream.read(size)
            if len(content) < size:
                raise BadCheckpoint(f"features: {batch.path.name} ends within picture {index}; download it again.")
            pixels = torch.frombuffer(bytearray(content), dtype=torch.uint8).view(batch.height, batch.width, 3)
            yield Named(name_by_place(f"{index}", pixels), index, pixels)


def _header(archive: zipfile.ZipFile, stream: IO[bytes], name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and kind of number of the array that follows."""
    shape, columns_first, dtype = read_header(stream, archive.getinfo(MEMBER).file_size)
    if columns_first:
        raise BadCheckpoint(f"features: {PICTURES} of {name} lies column by column, which is not read; save it anew.")
    return shape, dtype
