"""Small files with random weights: what a family's `tiny` writes, so that the common tests find it ready to load."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn


def random_weights(module: nn.Module, seed: int = 0) -> dict[str, torch.Tensor]:
    """A state dict of a module, all of it random, statistics of norms too, and of a size that keeps activations near 1.

    Tensors of integers stay as the module has them.
    """
    generator = torch.Generator().manual_seed(seed)
    return {
        name: _random(name, value, generator) if value.is_floating_point() else value
        for name, value in module.state_dict().items()
    }


def _random(name: str, value: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    drawn = torch.randn(value.shape, generator=generator)
    if value.ndim > 1:
        return drawn * value[0].numel() ** -0.5
    return 1 + 0.1 * drawn.abs() if name.endswith(("weight", "running_var")) else 0.1 * drawn


def write(path: Path, tensors: Mapping[str, torch.Tensor], **told: Any) -> Path:
    """A safetensors file, with what it tells of itself (`checkpoints.described`) in its metadata; gives its path."""
    from safetensors.torch import save_file

    metadata = {"trilemma": json.dumps(told)} if told else None
    save_file({name: value.contiguous() for name, value in tensors.items()}, path, metadata)
    return path


def write_random(folder: Path, module: nn.Module, **told: Any) -> Path:
    """`write` a module with random weights as tiny.safetensors."""
    return write(folder / "tiny.safetensors", random_weights(module), **told)
