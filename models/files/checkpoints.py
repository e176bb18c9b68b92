"""Bytes on disk to a plain state dict, never running code from the file (see `unpickling` for why that is certain)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import torch

from ..errors import BadCheckpoint, CannotDo, MissingFile
from .kinds import kind_of
from .unpickling import contents
from .unwrapping import Network, unwrap, without_prefix

__all__ = ["Checkpoint", "described", "read", "without_prefix"]

VALUES_KEY: Final = "trilemma_values"
NOTES_KEY: Final = "trilemma_notes"
"""Where a converted file's safetensors metadata keeps values and notes, as JSON."""


class Checkpoint(NamedTuple):
    """What a file holds.

    tensors: a flat state dict, on the CPU, in the file's dtypes. metadata: the text metadata of a safetensors file
    (empty for other formats). notes: what the reader chose, as sentences ("took the EMA weights (g_ema) of ...").
    path: the file or folder. values: plain values that stood beside the weights, such as hyper-parameters, as JSON
    knows them. config: a folder's own configuration (`config.json`, or `model_index.json` of diffusers); else
    empty.
    """

    tensors: dict[str, torch.Tensor]
    metadata: dict[str, str]
    notes: tuple[str, ...] = ()
    path: Path | None = None
    values: Mapping[str, Any] = MappingProxyType({})
    config: Mapping[str, Any] = MappingProxyType({})

    @property
    def name(self) -> str:
        """The file's or folder's, as messages begin."""
        return f"model: {self.path.name}" if self.path is not None else "model"


def read(path: Path) -> Checkpoint:
    """Read a `.safetensors` file, a PyTorch archive or older stream, or a pickled snapshot of networks.

    Wrappers ('state_dict', 'model', 'g_ema', ...) and 'module.' prefixes are taken off. Of several networks in a
    file the averaged one (EMA) is taken, else the generator, and `notes` says so.

    Raises:
        MissingFile: there is no such file.
        BadCheckpoint: it is truncated, no checkpoint, holds no weights, or names what no checkpoint has a use for.
        CannotDo: its weights are larger than the free memory.
    """
    if not path.is_file():
        raise MissingFile(f"{path.name}: there is no such file in {path.parent}.")
    try:
        return _read(path)
    except (BadCheckpoint, CannotDo) as error:
        raise type(error)(f"{path.name}: {error}") from error


def _read(path: Path) -> Checkpoint:
    kind = kind_of(path)
    if kind == "safetensors":
        return _read_safetensors(path)
    if kind == "pickle":
        # Archives are mapped; of them, only what is taken in the end counts.
        _check_memory(path.stat().st_size)
    tensors, values, notes = unwrap(contents(path))
    _check_memory(sum(tensor.numel() * tensor.itemsize for tensor in tensors.values()))
    return Checkpoint(tensors, {}, notes, path, values)


def _read_safetensors(path: Path) -> Checkpoint:
    from safetensors import SafetensorError, safe_open

    _check_memory(path.stat().st_size)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise BadCheckpoint(
            f"not a whole safetensors file ({error}); its size is {path.stat().st_size} bytes. "
            "It may be cut short: download it again."
        ) from error
    network: Network = unwrap(tensors)
    try:
        notes, values = json.loads(metadata.get(NOTES_KEY, "[]")), json.loads(metadata.get(VALUES_KEY, "{}"))
    except ValueError as error:
        raise BadCheckpoint(f"its metadata is no JSON ({error}); convert the original file again.") from error
    return Checkpoint(network.tensors, metadata, (*notes, *network.notes), path, values)


def _check_memory(needed: int) -> None:
    import psutil

    free = psutil.virtual_memory().available
    if needed > free:
        raise CannotDo(
            f"its weights take {_megabytes(needed)}, but only {_megabytes(free)} of memory are free. Close other "
            "programs, or choose a smaller file, such as a half-precision version."
        )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def described(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What the pack's own files say of themselves: hyper-parameters that tensor shapes cannot tell; else empty."""
    return json.loads(metadata.get("trilemma", "{}"))
