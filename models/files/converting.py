"""Any readable checkpoint to a safetensors file, which every program opens without running code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import torch

from ..errors import BadInput, CannotDo, TrilemmaError
from . import checkpoints
from .atomic import sweep_parts
from .safetensors_files import write_tensors

PICKLED: Final = (".pt", ".pth", ".ckpt", ".pkl", ".bin", ".tar")
"""Endings of files that are worth converting."""
NAMED: Final = 3


class Conversion(NamedTuple):
    """What was written: file, number of tensors, bytes on disk, and what the reader chose (`Checkpoint.notes`)."""

    path: Path
    tensors: int
    bytes: int
    notes: tuple[str, ...]


def convert(source: Path, target: Path | None = None, overwrite: bool = False) -> Conversion:
    """Write the weights of `source` as `target`, by default beside it with the ending .safetensors.

    Names, shapes and dtypes stay as `checkpoints.read` gives them; so do notes and plain values, in the metadata.
    The file appears whole or not at all.

    Raises:
        MissingFile, BadCheckpoint, CannotDo: as of `checkpoints.read`.
        BadInput: the source is a folder; the target exists already (and `overwrite` is off), is the source, or has
            another ending.
        CannotDo: no such folder, no room on the disk, or a tensor that safetensors cannot hold.
    """
    try:
        if source.is_dir():
            raise BadInput(f"file: {source.name} is a folder; name {_weights_in(source)}.")
        target = source.with_suffix(".safetensors") if target is None else target
        _check_target(source, target, overwrite)
        sweep_parts(target.parent)
        checkpoint = checkpoints.read(source)
    except (OSError, UnicodeError) as error:
        if isinstance(error, TrilemmaError):
            raise
        # Too long a name, or one with half a character; a device, or a disk that fails.
        reason = getattr(error, "strerror", None) or str(error)
        raise BadInput(f"file: {str(source)[-80:]} cannot be read ({reason}); name another.") from error
    tensors = _apart(checkpoint.tensors)
    needed = sum(tensor.numel() * tensor.itemsize for tensor in tensors.values())
    free = shutil.disk_usage(target.parent).free
    if needed > free:
        raise CannotDo(f"output: {target.name} needs {needed:,} bytes, but its disk has {free:,} free; make room.")
    _check_dtypes(tensors)
    write_tensors(target, tensors, _metadata(checkpoint, source.name))
    return Conversion(target, len(tensors), target.stat().st_size, checkpoint.notes)


def _weights_in(folder: Path) -> str:
    found = sorted(file.name for file in folder.iterdir() if file.suffix.lower() in PICKLED and file.is_file())
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"a file in it: {', '.join(found[:NAMED])}{more}" if found else "a file of weights; it holds none of its own"


def _check_target(source: Path, target: Path, overwrite: bool) -> None:
    if target.suffix.lower() != ".safetensors":
        raise BadInput(f"output: {target.name} does not end in .safetensors, by which programs know the format.")
    if not target.parent.is_dir():
        raise CannotDo(f"output: there is no folder {target.parent}; make it first.")
    if not target.exists():
        return
    if source.exists() and target.samefile(source):
        raise BadInput(f"file: {source.name} is a safetensors file already; choose another file.")
    if not overwrite:
        raise BadInput(f"output: {target.name} exists already; turn on overwrite, or move it away.")


def _apart(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors, each contiguous and in memory of its own (tied ones are written once for each name)."""
    apart, taken = {}, set()
    for name, tensor in tensors.items():
        whole = tensor.detach().contiguous()
        memory = whole.untyped_storage().data_ptr()
        apart[name] = whole.clone() if memory in taken else whole
        taken.add(memory)
    return apart


def _metadata(checkpoint: checkpoints.Checkpoint, name: str) -> dict[str, str]:
    kept = {**checkpoint.metadata, "format": "pt", "converted_from": name}
    if checkpoint.notes:
        kept[checkpoints.NOTES_KEY] = json.dumps(checkpoint.notes)
    if checkpoint.values:
        kept[checkpoints.VALUES_KEY] = json.dumps(dict(checkpoint.values))
    return kept


def _check_dtypes(tensors: Mapping[str, torch.Tensor]) -> None:
    """Before anything is written: what fails then is the disk's fault.

    Raises:
        CannotDo: safetensors has no name for the dtype of a tensor.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save

    for dtype, name in {tensor.dtype: name for name, tensor in tensors.items()}.items():
        try:
            save({name: torch.empty(1, dtype=dtype)})
        except (KeyError, TypeError, ValueError, SafetensorError) as error:
            raise CannotDo(f"file: safetensors cannot hold {name}, of dtype {dtype}; cast it first.") from error
