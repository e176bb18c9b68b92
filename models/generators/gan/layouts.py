"""Tensors of one layout under the names, and in the forms, of another: strictly, errors in the file's own names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

import torch
from torch import Tensor

from ... import weights
from ...weights import Tensors

MEAN_BATCH: Final = 1024
MEAN_BATCHES: Final = 10


class Entry(NamedTuple):
    """A tensor of a file: its name and shape there, its name in the network, and how it gets there (None: reshaped)."""

    name: str
    shape: tuple[int, ...]
    into: str
    how: Callable[[Tensor], Tensor] | None = None


def converted(entries: Iterable[Entry], tensors: Tensors, shapes: Mapping[str, torch.Size], what: str) -> Tensors:
    """The network's tensors. shapes: of those. what: the file and the network, as messages begin.

    Raises:
        BadCheckpoint: a tensor of the file is missing, unexpected, or of another shape.
    """
    entries = list(entries)
    weights.check_fit({each.name: torch.Size(each.shape) for each in entries}, tensors, what)
    made = {}
    for name, _, into, how in entries:
        value = tensors[name].float()
        made[into] = (value if how is None else how(value)).reshape(shapes[into])
    return made


def flipped(weight: Tensor) -> Tensor:
    """A kernel [..., H, W] turned by 180 degrees."""
    return weight.flip(-2, -1)


def of_tensorflow(weight: Tensor) -> Tensor:
    """[H, W, inputs, outputs] as [outputs, inputs, H, W]; [inputs, outputs] as [outputs, inputs]."""
    return weight.permute(3, 2, 0, 1) if weight.ndim == 4 else weight.T


@torch.no_grad()
def mean_w(mapping: Callable[[Tensor], Tensor], z_dim: int) -> Tensor:
    """The mean of w over 10,240 z, for files that do not hold it: the same at every load."""
    generator = torch.Generator().manual_seed(0)
    parts = [mapping(torch.randn(MEAN_BATCH, z_dim, generator=generator)).mean(dim=0) for _ in range(MEAN_BATCHES)]
    return torch.stack(parts).mean(dim=0)
