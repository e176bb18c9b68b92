"""Pickles as Python 2 writes them: texts and bytes are one, `str`."""

from __future__ import annotations

import io
import pickle
import struct
from typing import Any


class _Python2(pickle._Pickler):  # type: ignore[name-defined]
    """The pickler that is written in Python, whose ways of writing values can be replaced."""

    dispatch = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def save_bytes(self, value: bytes) -> None:
        if id(value) in self.memo:
            # Of one letter there is one object, however often it is made.
            self.write(self.get(self.memo[id(value)][0]))
            return
        if self.proto == 0:
            self.write(b"S" + repr(value)[1:].encode() + b"\n")
        else:
            self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)
        self.memoize(value)

    def save_text(self, value: str) -> None:
        self.save_bytes(value.encode("latin-1"))

    dispatch[bytes] = save_bytes
    dispatch[str] = save_text


def dumps(value: Any, protocol: int = 2) -> bytes:
    """A stream of protocol 0, 1 or 2, with NumPy's old names of modules."""
    stream = io.BytesIO()
    _Python2(stream, protocol).dump(value)
    return stream.getvalue().replace(b"numpy._core", b"numpy.core")
