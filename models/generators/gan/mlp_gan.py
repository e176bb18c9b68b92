"""GAN generators of dense layers (Goodfellow et al. 2014), saved from one `nn.Sequential` of them.

Sizes are read from shapes; the picture is square, grey where the outputs are a square number, else of three planes.
Cannot be detected: what follows the layers. A file's metadata or a `config.json` beside it tells it, as `ACTIVATIONS`
says; of PUBLISHED sizes it is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final

import torch
from torch import nn

from ... import weights
from ...errors import BadCheckpoint
from ...families import Family
from ...files import beside
from ...files.checkpoints import Checkpoint
from ...random_weights import write_random
from ...weights import DtypeFor, Tensors, empty_weights, full_precision
from .gaussian_gan import GaussianGAN

NAME: Final = "MLP GAN"
PUBLISHED: Final = (64, 256, 256, 784)
"""Widths of csinva/gan-vae-pretrained-pytorch's, with ReLU and tanh."""
ACTIVATIONS: Final[Mapping[str, Mapping[str, Callable[[], nn.Module]]]] = {
    "hidden_activation": {"relu": nn.ReLU, "leaky_relu": partial(nn.LeakyReLU, 0.2), "tanh": nn.Tanh},
    "output_activation": {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid},
}
"""Settings that no shape tells, and their values. Pictures are in -1..1 behind tanh, in 0..1 behind a sigmoid."""
USUAL: Final = {"hidden_activation": "relu", "output_activation": "tanh"}


class MLP(nn.Sequential):
    """z [N, sizes[0]] to pictures [N, C, S, S] in -1..1; dense layers are numbered 0, 2, 4, ..."""

    def __init__(self, sizes: Sequence[int], activations: Mapping[str, str] = USUAL) -> None:
        hidden, last = (known[activations[name]] for name, known in ACTIVATIONS.items())
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), hidden()]
        super().__init__(*layers[:-1], last())
        self.in_unit_range = activations["output_activation"] == "sigmoid"
        found = picture(sizes[-1])
        if found is None:
            raise ValueError(f"{sizes[-1]} numbers are no square picture")
        self.picture = found

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        pictures = super().forward(z).unflatten(1, self.picture)
        return 2 * pictures - 1 if self.in_unit_range else pictures


def picture(outputs: int) -> tuple[int, int, int] | None:
    """Channels, height and width of a picture of so many numbers; None where it would not be square."""
    for channels in (1, 3):
        side = math.isqrt(outputs // channels)
        if channels * side**2 == outputs:
            return channels, side, side
    return None


def sizes(tensors: Tensors) -> list[int]:
    """Widths from z to the picture; empty where the layout is not a row of dense layers."""
    found: list[int] = []
    count = len(tensors) // 2
    for index in range(0, 2 * count, 2):
        weight = tensors.get(f"{index}.weight")
        if weight is None or weight.ndim != 2 or found[-1:] not in ([], [weight.shape[1]]):
            return []
        found += [weight.shape[0]] if found else [weight.shape[1], weight.shape[0]]
    return found


def detect(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint is a row of dense layers that ends in a square picture larger than its input."""
    found = sizes(checkpoint.tensors)
    return len(found) > 2 and found[-1] > found[0] and picture(found[-1]) is not None


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> GaussianGAN:
    """Build the generator of a checkpoint that `detect` claims.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape; or nothing tells what follows the layers.
    """
    widths, what = sizes(checkpoint.tensors), f"{checkpoint.name}, {NAME}"
    told = activations(checkpoint, widths, what)
    with empty_weights():
        network = MLP(widths, told)
    weights.fill(network, checkpoint.tensors, what)
    floats = max(one + next_one for one, next_one in pairwise(widths))
    return GaussianGAN(NAME, network, (widths[0],), network.picture, floats, weights.identity(checkpoint.tensors))


def activations(checkpoint: Checkpoint, widths: Sequence[int], what: str) -> dict[str, str]:
    """The values of ACTIVATIONS for a file.

    Raises:
        BadCheckpoint: nothing tells them, or there is no such value.
    """
    told = beside.settings(checkpoint)
    if tuple(widths) == PUBLISHED and not ACTIVATIONS.keys() & told.keys():
        return USUAL
    choices = "; ".join(f"{name}: {' or '.join(known)}" for name, known in ACTIVATIONS.items())
    found = {name: told.get(name) for name in ACTIVATIONS}
    if any(str(value) not in ACTIVATIONS[name] for name, value in found.items()):
        raise BadCheckpoint(
            f"{what}: a row of dense layers {' - '.join(map(str, widths))}, which may be a generator; its tensors do "
            "not tell what follows the layers. If it is one, put a config.json beside it, in a folder of their own, "
            f"that says so ({choices})."
        )
    return {name: str(value) for name, value in found.items()}


def _typical() -> frozenset[str]:
    with empty_weights():
        return frozenset(MLP([64, 256, 256, 784]).state_dict())


def tiny(folder: Path) -> Path:
    return write_random(folder, MLP([5, 9, 7, 16]), **USUAL)


FAMILY: Final = Family(NAME, detect, load, tiny, beside.files, _typical)
