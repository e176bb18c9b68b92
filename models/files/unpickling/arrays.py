"""NumPy's arrays and element types, as pickles describe them, and sparse tensors of PyTorch."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from typing import Any, Final, Literal

import numpy as np
import torch

from ...errors import BadCheckpoint, is_out_of_memory
from .machine import Budget, Global, Inert

ByteOrder = Literal["<", ">", "="]

ORDERS: Final[dict[str, ByteOrder]] = {"<": "<", ">": ">"}
NUMBERS: Final = "biufc"
TENSORS: Final = frozenset(["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"])
"""Element types that PyTorch has too."""
OTHER: Final = np.dtype("V1")
"""Element type of arrays of what is neither number, text nor object, such as records; their values are left out."""
COMPRESSED: Final = {
    "torch.sparse_csr": torch.sparse_csr,
    "torch.sparse_csc": torch.sparse_csc,
    "torch.sparse_bsr": torch.sparse_bsr,
    "torch.sparse_bsc": torch.sparse_bsc,
}
LAZY: Final = {"conj": torch.conj_physical, "neg": torch.neg}
"""What a view's metadata asks for, and how it is done."""


class NumpyDtype:
    """An array's element type, while its state may still be set."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.order: ByteOrder = "="

    @property
    def is_number(self) -> bool:
        return self.code[0] in NUMBERS

    def __str__(self) -> str:
        return self.code

    def made(self) -> np.dtype:
        return np.dtype(self.code).newbyteorder(self.order)


def dtype(code: Any) -> NumpyDtype | Inert:
    """The type behind a code such as "f4"; records, dates and the like stay inert."""
    simple = isinstance(code, str) and re.fullmatch(r"[biufc]\d{1,2}|[SU][1-9]\d{0,5}|O\d?", code)
    return NumpyDtype(code) if simple else Inert(Global("numpy", "dtype"), (code,))


def fill(array: np.ndarray, state: Any, budget: Budget) -> None:
    """Make an empty array what its state says: (version, shape, type, whether columns come first, values).

    Raises:
        BadCheckpoint: the values do not fit the shape.
    """
    shape, kind, columns_first, values = state[-4:]
    if not isinstance(kind, NumpyDtype):
        _set(array, (0,), OTHER, False, b"")
        return
    count = _checked_count(shape)
    if kind.code[0] == "O":
        fits = isinstance(values, list) and len(values) == count
    else:
        budget.copy(count * kind.made().itemsize)
        if isinstance(values, str):  # of Python 2, see `Machine.push_old_text`
            values = values.encode("latin-1")
        values = values if isinstance(values, bytes) else bytes(memoryview(values))
        fits = len(values) == count * kind.made().itemsize
    if not fits:
        raise BadCheckpoint(f"it describes an array of shape {tuple(shape)} by other values; it is damaged.")
    if not isinstance(values, list):
        _check_text(np.frombuffer(values, kind.made()))
    _set(array, tuple(shape), kind.made(), bool(columns_first), values)


def _set(array: np.ndarray, *state: Any) -> None:
    """The method that pickle calls too, of an array made here, with arguments that were checked."""
    version: Any = 1
    array.__setstate__((version, *state))


def of_buffer(raw: memoryview, kind: Any, shape: Any, order: Any, axes: Any = None) -> np.ndarray:
    """How protocol 5 writes an array; the values stay where they are."""
    if not isinstance(kind, NumpyDtype):
        return np.empty(0, OTHER)
    if kind.code[0] == "O":
        raise TypeError("objects as bytes")
    _checked_count(shape)
    array = _check_text(np.frombuffer(raw, kind.made()))
    if order == "K" and axes is not None:
        return array.reshape(shape).transpose(axes)
    return array.reshape(shape, order="F" if order == "F" else "C")


def _check_text(array: np.ndarray) -> np.ndarray:
    """The array; NumPy takes any number for a letter, and Python fails on those that are none."""
    if array.dtype.kind == "U" and array.size:
        letters = array.view(np.dtype("u4").newbyteorder(array.dtype.byteorder))
        if int(letters.max()) > sys.maxunicode:
            raise BadCheckpoint("it describes an array of text by numbers that are no letters; it is damaged.")
    return array


def _checked_count(shape: Any) -> int:
    if not (isinstance(shape, tuple) and all(isinstance(side, int) and side >= 0 for side in shape)):
        raise TypeError("a shape that is none")
    return math.prod(shape)


class Pending:
    """A tensor that is made of others by `make`, once their values are there: older streams keep those at the end."""

    def __init__(self, make: Callable[[], torch.Tensor]) -> None:
        self._make = make
        self._made: torch.Tensor | None = None

    def made(self) -> torch.Tensor:
        """The tensor, the same one at every call.

        Raises:
            BadCheckpoint: what it is made of does not fit.
        """
        if self._made is None:
            try:
                self._made = self._make()
            except (TypeError, ValueError, RuntimeError) as error:
                if is_out_of_memory(error):
                    raise
                reason = str(error).splitlines()[0]
                raise BadCheckpoint(f"it describes a tensor in a way that makes no sense ({reason}).") from error
        return self._made


def dense(layout: Any, parts: Any, budget: Budget) -> Pending:
    """A sparse tensor made whole. layout: "torch.sparse_coo" or one of COMPRESSED. parts: (indices, values, size), or
    (compressed indices, plain indices, values, size), and what else PyTorch writes behind them.

    Raises:
        BadCheckpoint: all sparse tensors of the file together are larger than `Budget.sparse`.
        ValueError: an unknown layout.
    """
    if layout not in ("torch.sparse_coo", *COMPRESSED):
        raise ValueError(f"an unknown layout, {layout if isinstance(layout, str) else type(layout).__name__}")
    coordinates = layout == "torch.sparse_coo"
    first: Any
    second: Any
    first, second, values, size = (parts[0], None, *parts[1:3]) if coordinates else parts[:4]
    size = tuple(size)
    budget.unfold(_checked_count(size) * values.itemsize, size)

    def make() -> torch.Tensor:
        if coordinates:
            sparse = torch.sparse_coo_tensor(first, values, size, check_invariants=True)
        else:
            kind = COMPRESSED[layout]
            sparse = torch.sparse_compressed_tensor(first, second, values, size, layout=kind, check_invariants=True)
        return sparse.to_dense()

    return Pending(make)


def resolved(view: torch.Tensor, metadata: Any, budget: Budget) -> torch.Tensor | Pending:
    """What a view stands for that is to be conjugated, or to change its sign, when it is used."""
    told = metadata if isinstance(metadata, dict) else {}
    functions = [function for key, function in LAZY.items() if told.get(key) is True]
    if not functions:
        return view

    def make() -> torch.Tensor:
        budget.copy(view.numel() * view.itemsize * len(functions))
        found = view
        for function in functions:
            found = function(found)
        return found

    return Pending(make)


def of_device(values: Any, kind: torch.dtype, budget: Budget) -> Pending:
    """A tensor of a device that PyTorch keeps as a tensor, or as an array, of the CPU."""

    def make() -> torch.Tensor:
        found = as_tensor(values)
        budget.copy(found.numel() * kind.itemsize)
        return found.to(kind)

    return Pending(make)


def stands_for_tensor(value: Any) -> bool:
    """Whether it is a tensor, or what `as_tensor` makes one of: an array of numbers, say."""
    return isinstance(value, (torch.Tensor, Pending)) or (
        isinstance(value, np.ndarray) and value.dtype.str[1:] in TENSORS
    )


def as_tensor(value: Any) -> torch.Tensor:
    """The tensor itself, or the one that this stands for, in the byte order of this machine.

    Raises:
        BadCheckpoint: see `Pending.made`.
    """
    if isinstance(value, Pending):
        return value.made()
    if isinstance(value, torch.Tensor):
        return value
    native = np.ascontiguousarray(value, value.dtype.newbyteorder("=")).reshape(value.shape)
    return torch.from_numpy(native if native.flags.writeable else native.copy())
