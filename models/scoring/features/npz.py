"""Arrays in `.npz` files: read without trust, written whole or not at all."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import torch

from ...errors import BadCheckpoint, MissingFile, TrilemmaError, is_out_of_memory
from ...files.atomic import make_folder, replacing
from ...files.kinds import HEAD, description
from ...files.numpy_arrays import NUMPY, read_stream

DType = Literal["float32", "float64", "int64"]
UNFOLDED: Final = 3
SMALL: Final = 200 * 2**20
"""An array takes at most so many times the bytes of its file, and so many bytes more: compression has no such limit."""


class Arrays(NamedTuple):
    """The arrays of an open file, read when they are asked for."""

    name: str
    file: np.lib.npyio.NpzFile
    archive: zipfile.ZipFile

    def tensor(self, key: str, dtype: DType, *shape: int | None) -> torch.Tensor:
        """The array as a tensor of this dtype; `shape` has None where any length will do.

        Raises:
            BadCheckpoint: it is missing, of another shape or kind of number, or holds NaN or infinite values.
        """
        if key not in self.file.files:
            raise BadCheckpoint(f"features: {self.name} has no array {key!r}; it is not whole.")
        array = self._array(key)
        fits = array.ndim == len(shape) and array.shape == tuple(
            side if want is None else want for want, side in zip(shape, array.shape, strict=True)
        )
        if not fits or not np.can_cast(array.dtype, dtype, "same_kind"):
            wanted = " x ".join("n" if want is None else str(want) for want in shape)
            raise BadCheckpoint(
                f"features: {key} of {self.name} is {array.dtype} of shape {array.shape}, not {dtype} of {wanted}."
            )
        if not np.isfinite(array).all():
            raise BadCheckpoint(f"features: {key} of {self.name} holds values that are not numbers; take it anew.")
        return torch.from_numpy(np.ascontiguousarray(array, dtype=dtype))

    def text(self, key: str) -> str:
        """A text that `write` has put there."""
        return str(self._array(key)[()])

    def _array(self, key: str) -> np.ndarray:
        entry = self.archive.getinfo(f"{key}.npy")
        limit = UNFOLDED * sum(each.compress_size for each in self.archive.infolist()) + SMALL
        if entry.file_size > limit:
            raise BadCheckpoint(
                f"features: {key} of {self.name} unfolds to {entry.file_size:,} bytes, as zip bombs do; take it anew."
            )
        with self.archive.open(entry) as stream:
            return read_stream(stream, entry.file_size)


@contextmanager
def opened(path: Path) -> Iterator[Arrays]:
    """The file for reading; nothing in it is executed.

    Raises:
        MissingFile: there is none.
        BadCheckpoint: also in the block, where the file turns out to be broken.
    """
    try:
        _check_kind(path)
        with (
            open(path, "rb") as stream,
            np.load(stream, allow_pickle=False) as file,
            zipfile.ZipFile(path) as archive,
        ):
            _check_names(path.name, archive.namelist())
            yield Arrays(path.name, file, archive)
    except TrilemmaError:
        raise
    except FileNotFoundError as error:
        raise MissingFile(f"features: there is no file {path.name} in {path.parent}; save it there.") from error
    except Exception as error:  # of any kind: NumPy evaluates headers by Python's parser and by several libraries
        if is_out_of_memory(error):
            raise
        raise BadCheckpoint(
            f"features: {path.name} is broken, or no .npz file ({_reason(error)}); take it anew."
        ) from error


def _check_kind(path: Path) -> None:
    """Raise BadCheckpoint unless a file begins as an .npz file does; says what it is instead."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    if head.startswith(NUMPY):
        raise BadCheckpoint(f"features: {path.name} is a single array, no .npz file; choose another file.")
    if not head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        raise BadCheckpoint(f"features: {path.name} is broken, or no .npz file: it is {description(head, size)}.")


def _check_names(file: str, names: list[str]) -> None:
    """Readers differ in which of two arrays of one name they take."""
    doubled = next((name for name, times in Counter(names).items() if times > 1), None)
    if doubled is not None:
        raise BadCheckpoint(f"features: {file} has its array {doubled} twice, of which one may be a forgery.")


def _reason(error: Exception) -> str:
    text = str(error).splitlines()
    return text[0] if text else type(error).__name__


def write(path: Path, arrays: Mapping[str, torch.Tensor | str]) -> None:
    """Write tensors and texts; the folder is made as needed. Needs no lock where nobody else writes this file."""
    make_folder(path.parent)
    with replacing(path) as file:
        plain: dict[str, Any] = {name: each if isinstance(each, str) else each.numpy() for name, each in arrays.items()}
        np.savez(file, **plain)
