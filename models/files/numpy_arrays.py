"""Arrays in NumPy's own format, whose headers are compared with the bytes that are there before anything is read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from ..errors import BadCheckpoint

NUMPY: Final = b"\x93NUMPY"
"""What a file of one array begins with."""
VERSIONS: Final[dict[tuple[int, int], Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
"""How a header is read. The third version is for names of records' fields, which are no numbers."""
CHUNK: Final = 2**20


def read_array(path: Path) -> np.ndarray:
    """The array of a `.npy` file, of any type but objects.

    Raises:
        BadCheckpoint: it is damaged, of another size than its header says, or holds Python objects.
    """
    try:
        with path.open("rb") as stream:
            return read_stream(stream, path.stat().st_size)
    except MemoryError:
        raise
    except Exception as error:  # of any kind: NumPy evaluates headers by Python's parser and by several libraries
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        said = reason if "Python objects" in reason else f"it is damaged, or cut short ({reason})"
        raise BadCheckpoint(f"{path.name}: {said}; get it again, or choose another file.") from error


def read_stream(stream: IO[bytes], size: int) -> np.ndarray:
    """The array that these `size` bytes are; they are read to the last, so that an archive compares their checksum.

    Raises:
        ValueError, or whatever NumPy raises: they are no array, or of objects, or say another size.
    """
    shape, columns_first, dtype = read_header(stream, size)
    numbers = bytearray(math.prod(shape) * dtype.itemsize)
    place = 0
    while place < len(numbers):
        found = stream.read(min(CHUNK, len(numbers) - place))
        if not found:
            raise ValueError(f"it ends within its {len(numbers):,} bytes of numbers")
        numbers[place : place + len(found)] = found
        place += len(found)
    return np.frombuffer(numbers, dtype).reshape(shape, order="F" if columns_first else "C")


def read_header(stream: IO[bytes], size: int) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether columns come first, and type of the array that these `size` bytes are.

    Raises:
        ValueError, or whatever NumPy raises: see `read_stream`.
    """
    read = VERSIONS.get(np.lib.format.read_magic(stream))
    if read is None:
        raise ValueError("it is written in another version of NumPy's format")
    shape, columns_first, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not read")
    if dtype.itemsize == 0 or any(side < 0 for side in shape):
        raise ValueError(f"it says that it is {dtype} of shape {shape}")
    told, there = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if told != there:
        raise ValueError(f"it says that it is {dtype} of shape {shape}, {told:,} bytes, and has {there:,}")
    return shape, columns_first, dtype
