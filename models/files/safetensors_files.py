"""Tensors to safetensors files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from ..errors import CannotDo
from .atomic import unfinished


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Write contiguous tensors, each in memory of its own, in place of what was there: whole or not at all.

    Raises:
        CannotDo: see `unfinished`.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        with unfinished(path) as part:
            save_file(dict(tensors), part, dict(metadata))
    except SafetensorError as error:
        # No OSError, though the system's is in its text.
        raise CannotDo(
            f"output: {path.name} cannot be written into {path.parent} ({error}); make room there, or choose another "
            "folder."
        ) from error
