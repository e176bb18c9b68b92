"""Where a file keeps its pickle streams and the bytes of its tensors."""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from ...errors import BadCheckpoint
from .machine import Budget, Global, Inert, Machine
from .rebuilding import DTYPES, Rebuilder

STREAM_MAGIC: Final = 0x1950A86A20F9469CFC6C
STREAM_VERSION: Final = 1001
"""The first two values of PyTorch's format before 1.6."""

BOMB: Final = 200
"""Times by which a record is larger than its compressed bytes, from which on it is no record of weights."""

PROGRAM: Final = (
    "it is a TorchScript program, which is code; use the state dict that it was made from. Of the Inception-v3 of FID "
    "that is pt_inception-2015-12-05-6726825d.pth, in models/metrics, for Load Feature Extractor."
)
CLASSES: Final = "__torch__"
"""The module of the classes that a TorchScript program has its own code for."""

BEHIND: Final = 8
"""The flag of a zip archive's file whose checksum and sizes are behind its bytes."""
UTF_8: Final = 0x800
"""The flag of a zip archive's file whose name is in UTF-8."""

STORAGES: Final = {
    **{
        f"{name}Storage": DTYPES[dtype]
        for name, dtype in {
            "Float": "float32",
            "Double": "float64",
            "Half": "float16",
            "BFloat16": "bfloat16",
            "Long": "int64",
            "Int": "int32",
            "Short": "int16",
            "Char": "int8",
            "Byte": "uint8",
            "Bool": "bool",
            "ComplexFloat": "complex64",
            "ComplexDouble": "complex128",
            "Untyped": "uint8",
        }.items()
    }
}
"""Storage classes of modules torch, torch.cuda and torch.storage."""


def contents(path: Path) -> Any:
    """What a PyTorch archive, an older PyTorch stream or a plain pickle holds, as inert data.

    Tensors of archives lie in a private mapping of the file: they are read from disk when they are used, and writing
    to them does not change the file. All are on the CPU, wherever they were saved from. Of a TorchScript program these
    are its modules, see `is_program`; its code is not looked at.

    Raises:
        BadCheckpoint: see the package; or an archive that is damaged, compressed, or of another kind.
    """
    data = np.memmap(path, np.uint8, mode="c")
    budget = Budget(len(data))
    if bytes(data[:4]) == b"PK\x03\x04":
        return _archive(path, data, budget)
    view = data.data
    machine = Machine(view, _rebuilder(budget), _no_persistent, budget)
    value, end = machine.run()
    return _stream(view, end, budget) if _is_number(value, STREAM_MAGIC) else value


def is_program(value: Any) -> bool:
    """Whether it is a module of a TorchScript program: its attributes are tensors, plain values and modules."""
    return isinstance(value, Inert) and value.cls.module.partition(".")[0] == CLASSES and isinstance(value.state, dict)


def _is_number(value: Any, number: int) -> bool:
    return isinstance(value, int) and value == number


def _rebuilder(budget: Budget) -> Rebuilder:
    return Rebuilder(budget, lambda raw: _nested_stream(raw, budget))


def _no_persistent(reference: Any) -> Any:
    raise BadCheckpoint("it refers to objects outside of itself (a persistent id), as no plain pickle can.")


def _typed(raw: memoryview, numel: int, dtype: torch.dtype, budget: Budget) -> torch.Tensor:
    """The first `numel` values of a buffer, 1-D; in place where they are aligned."""
    if numel == 0:
        return torch.empty(0, dtype=dtype)
    values = np.frombuffer(raw, np.uint8, count=numel * dtype.itemsize)
    if values.ctypes.data % dtype.itemsize:
        budget.copy(len(values))
        values = values.copy()
    return torch.from_numpy(values).view(dtype)


def _storage(reference: Any) -> tuple[torch.dtype, str, int, Any]:
    """Element type, key, number of elements and view of ('storage', class, key, location, numel, view)."""
    if not (isinstance(reference, tuple) and len(reference) in (5, 6) and reference[0] == "storage"):
        raise BadCheckpoint("it refers to an object of an unknown kind (a persistent id that is no storage).")
    _, cls, key, _, numel, *view = reference
    known = isinstance(cls, Global) and cls.module in ("torch", "torch.cuda", "torch.storage")
    if not (known and cls.name in STORAGES):
        named = cls if isinstance(cls, Global) else type(cls).__name__
        raise BadCheckpoint(f"it keeps tensors in a {named}, which this reader does not know.")
    if not (isinstance(key, str) and isinstance(numel, int) and numel >= 0):
        raise BadCheckpoint("it describes a tensor's storage in a way that makes no sense; it is damaged.")
    return STORAGES[cls.name], key, numel, view[0] if view else None


def _archive(path: Path, data: np.ndarray, budget: Budget) -> Any:
    """A zip archive of PyTorch 1.6 and later: data.pkl, and each storage as a file of its own."""
    try:
        with zipfile.ZipFile(path) as archive:
            listed = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise BadCheckpoint(
            f"it begins as a zip archive, but has no whole list of its contents ({len(data)} bytes): it is cut short "
            "or damaged, download it again."
        ) from error
    entries = {entry.filename: entry for entry in listed}
    program = any(name.rpartition("/")[2] == "constants.pkl" for name in entries)
    # A program's code is compressed, and is not read.
    _check_entries([entry for entry in listed if _is_read(entry.filename)] if program else listed, len(data))
    pickles = [name for name in entries if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        names = ", ".join(list(entries)[:3])
        raise BadCheckpoint(f"it is a zip archive, but no PyTorch checkpoint (it holds {names or 'nothing'}).")
    prefix = pickles[0].removesuffix("data.pkl")
    # PyTorch can be told to leave the checksums out; then it writes 0 for all of them.
    has_checksums = any(entry.CRC for entry in listed)

    def record(name: str) -> memoryview:
        if name not in entries:
            raise BadCheckpoint(f"it lacks its record {name}; it is damaged: download it again.")
        return _record(data, entries[name], has_checksums)

    if f"{prefix}byteorder" in entries and bytes(record(f"{prefix}byteorder")) != b"little":
        raise BadCheckpoint("it was saved on a big-endian machine, whose byte order is not read.")
    made: dict[tuple[str, torch.dtype], torch.Tensor] = {}

    def persistent(reference: Any) -> torch.Tensor:
        dtype, key, numel, _ = _storage(reference)
        if (key, dtype) not in made:
            raw = record(f"{prefix}data/{key}")
            if len(raw) < numel * dtype.itemsize:
                raise BadCheckpoint(
                    f"its record data/{key} has {len(raw)} bytes of the {numel * dtype.itemsize} that it should have; "
                    "it is damaged: download it again."
                )
            made[key, dtype] = _typed(raw, numel, dtype, budget)
        return made[key, dtype]

    value = Machine(record(pickles[0]), _rebuilder(budget), persistent, budget).run()[0]
    if program and not is_program(value):
        raise BadCheckpoint(PROGRAM)
    return value


def _is_read(name: str) -> bool:
    """Whether a record of a program is one of its weights."""
    folder, _, last = name.rpartition("/")
    return last in ("data.pkl", "byteorder") or folder.rpartition("/")[2] == "data"


def _check_entries(entries: Collection[zipfile.ZipInfo], size: int) -> None:
    packed = [
        each for each in entries if each.compress_type != zipfile.ZIP_STORED or each.compress_size != each.file_size
    ]
    if packed:
        worst = max(packed, key=lambda each: each.file_size / max(each.compress_size, 1))
        told = f"its record {worst.filename} is compressed ({worst.compress_size:,} bytes for {worst.file_size:,})"
        if worst.file_size > BOMB * worst.compress_size:
            raise BadCheckpoint(f"{told}; PyTorch never compresses, zip bombs do.")
        raise BadCheckpoint(
            f"{told}, as PyTorch never does: it was unpacked and packed anew. Get the original file, or pack the "
            "unpacked folder without compression (zip -0 -r)."
        )
    for entry in entries:
        if entry.flag_bits & 1:
            raise BadCheckpoint(f"its record {entry.filename} is encrypted.")
    doubled = next((name for name, times in Counter(entry.filename for entry in entries).items() if times > 1), None)
    if doubled is not None:
        raise BadCheckpoint(f"it has its record {doubled} twice, of which one may be a forgery; download it again.")
    declared = sum(entry.file_size for entry in entries)
    if declared > size:
        raise BadCheckpoint(f"its records claim {declared} bytes, but the whole file has {size}, as in a zip bomb.")


def _record(data: np.ndarray, entry: zipfile.ZipInfo, has_checksum: bool) -> memoryview:
    """The bytes of an archive's file. Its own header says where they start; the archive's list does not."""
    header = bytes(data[entry.header_offset : entry.header_offset + 30])
    name_end = entry.header_offset + 30 + int.from_bytes(header[26:28], "little")
    name = bytes(data[entry.header_offset + 30 : name_end])
    start = name_end + int.from_bytes(header[28:30], "little")
    encoding = "utf-8" if entry.flag_bits & UTF_8 else "cp437"
    named = name.decode(encoding, "replace") == entry.orig_filename
    if header[:4] != b"PK\x03\x04" or start + entry.file_size > len(data) or not named:
        raise BadCheckpoint(f"its record {entry.filename} is not where it should be; it is damaged: download it again.")
    found = data.data[start : start + entry.file_size]
    if not has_checksum and _own_checksum(header, bytes(data[start + entry.file_size : start + entry.file_size + 8])):
        raise BadCheckpoint(
            f"its record {entry.filename} has a checksum, but the archive's list has none; it is damaged: download it "
            "again."
        )
    if has_checksum and zlib.crc32(found) != entry.CRC:
        raise BadCheckpoint(f"its record {entry.filename} has another checksum; it is damaged: download it again.")
    return found


def _own_checksum(header: bytes, behind: bytes) -> int:
    """The checksum that a record itself tells, in its header or behind its bytes."""
    later = header[6] & BEHIND and behind[:4] == b"PK\x07\x08"
    return int.from_bytes(behind[4:8] if later else header[14:18], "little")


def _nested_stream(raw: memoryview, budget: Budget) -> Any:
    machine = Machine(raw, _rebuilder(budget), _no_persistent, budget)
    magic, end = machine.run()
    if not _is_number(magic, STREAM_MAGIC):
        raise ValueError("no PyTorch stream")
    return _stream(raw, end, budget)


def _stream(data: memoryview, offset: int, budget: Budget) -> Any:
    """A stream of PyTorch before 1.6 behind its magic number: version, machine, value, keys and bytes of storages."""
    storages: dict[str, torch.Tensor] = {}
    views: dict[tuple[str, str], torch.Tensor] = {}

    def persistent(reference: Any) -> Any:
        if isinstance(reference, tuple) and len(reference) == 4 and reference[0] == "module":
            # A class with its source text, as torch.save wrote whole modules.
            return reference[1]
        dtype, key, numel, view = _storage(reference)
        if key not in storages:
            budget.copy(numel * dtype.itemsize)
            storages[key] = torch.zeros(numel, dtype=dtype)
        if view is None:
            return storages[key]
        name, start, length = view
        if not isinstance(name, str):
            raise TypeError("a view without a name")
        return views.setdefault((key, name), storages[key][start : start + length])

    rebuilder = _rebuilder(budget)
    version, offset = Machine(data, rebuilder, _no_persistent, budget).run(offset)
    machine_facts, offset = Machine(data, rebuilder, _no_persistent, budget).run(offset)
    little_endian = isinstance(machine_facts, dict) and machine_facts.get("little_endian") is True
    if not (_is_number(version, STREAM_VERSION) and little_endian):
        raise BadCheckpoint("it is a PyTorch stream of another version, or saved on a big-endian machine.")
    value, offset = Machine(data, rebuilder, persistent, budget).run(offset)
    keys, offset = Machine(data, rebuilder, _no_persistent, budget).run(offset)
    named = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    if not (named and len(keys) == len(storages) and set(keys) == set(storages)):
        raise BadCheckpoint("its list of storages is not that of its tensors; it is damaged: download it again.")
    for key in keys:
        storage = storages[key]
        end = offset + 8 + storage.numel() * storage.itemsize
        if end > len(data):
            raise BadCheckpoint(f"it ends early, at {len(data)} bytes of at least {end}: cut short, download it again.")
        if int.from_bytes(data[offset : offset + 8], "little") != storage.numel():
            raise BadCheckpoint(f"its storage {key} has another length than its tensors; it is damaged.")
        storage.view(torch.uint8).numpy()[:] = data[offset + 8 : end]
        offset = end
    return value
