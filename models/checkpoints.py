"""Bytes on disk to a plain state dict, never running code from the file."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from .errors import BadCheckpoint

WRAPPERS = ("state_dict", "model")
"""Keys under which training frameworks keep the weights, tried in this order."""


class Checkpoint(NamedTuple):
    """A flat state dict, and the text metadata of a safetensors file (empty for other formats)."""

    tensors: dict[str, torch.Tensor]
    metadata: dict[str, str]


def read(path: Path) -> Checkpoint:
    """Read a `.safetensors` or PyTorch file: wrappers such as {'model': ...} and 'module.' prefixes are taken off.

    Raises:
        BadCheckpoint: the file is truncated, is no checkpoint, or names Python objects other than tensors.
    """
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    return Checkpoint(_unwrap(_read_torch(path), path), {})


def _read_safetensors(path: Path) -> Checkpoint:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
            return Checkpoint(tensors, file.metadata() or {})
    except SafetensorError as error:
        raise BadCheckpoint(
            f"{path.name}: not a whole safetensors file ({error}); its size is {path.stat().st_size} bytes. "
            "It may be cut short: download it again."
        ) from error


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (pickle.UnpicklingError, EOFError, RuntimeError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadCheckpoint(
            f"{path.name}: cannot be read as weights ({reason}); its size is {path.stat().st_size} bytes. "
            "It may be cut short, or be no PyTorch checkpoint: download it again, or use its safetensors version."
        ) from error


def _unwrap(content: Any, path: Path) -> dict[str, torch.Tensor]:
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    tensors = {k: v for k, v in content.items() if torch.is_tensor(v)} if isinstance(content, Mapping) else {}
    if not tensors:
        raise BadCheckpoint(f"{path.name}: holds no weights (found {type(content).__name__}); choose another file.")
    return {key.removeprefix("module."): value for key, value in tensors.items()}


def described(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What the pack's own files say of themselves: hyper-parameters that tensor shapes cannot tell; else empty."""
    return json.loads(metadata.get("trilemma", "{}"))
