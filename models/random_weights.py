"""Small files with random weights: what a family's `tiny` writes, so that the common tests find it ready to load."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn


def random_weights(module: nn.Module, seed: int = 0) -> dict[str, torch.Tensor]:
    """A state dict of a module, all of it random, statistics of norms too, and of a size that keeps activations near 1.

    Tensors of integers stay as the module has them.
    """
    state = module.state_dict()
    shapes = {name: value.shape for name, value in state.items() if value.is_floating_point()}
    return state | random_tensors(shapes, seed)


def random_tensors(shapes: Mapping[str, Sequence[int]], seed: int = 0) -> dict[str, torch.Tensor]:
    """`random_weights` of layers whose tensors have these names and shapes."""
    generator = torch.Generator().manual_seed(seed)
    return {name: _random(name, shape, generator) for name, shape in shapes.items()}


def _random(name: str, shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    drawn = torch.randn(tuple(shape), generator=generator)
    if len(shape) > 1:
        return drawn * math.prod(shape[1:]) ** -0.5
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
