"""The MNIST VAE of the PyTorch examples, as csinva/gan-vae-pretrained-pytorch publishes it: 784-400-20-400-784."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from torch import nn

from ... import weights
from ...families import Family
from ...files.checkpoints import Checkpoint
from ...files.folders import weight_files
from ...random_weights import write_random
from ...weights import DtypeFor, empty_weights, full_precision
from ..base import Descriptor
from .autoencoder import OPTIONS, Autoencoder
from .priors import standard_normal

NAME: Final = "MNIST VAE"
LAYERS: Final = ("fc1", "fc21", "fc22", "fc3", "fc4")
NAMES: Final = frozenset(f"{layer}.{kind}" for layer in LAYERS for kind in ("weight", "bias"))
FLOATS: Final = 4.0
"""Numbers per pixel at the peak: the flat picture before and after the sigmoid, and in three channels."""


class MnistVAE(nn.Module):
    """Two fully connected layers each way, ReLU between, a sigmoid at the end. Square grey pictures, 0..1.

    pixels: of a picture. hidden: width. latent: numbers of a latent.
    """

    def __init__(self, pixels: int = 784, hidden: int = 400, latent: int = 20) -> None:
        super().__init__()
        self.fc1 = nn.Linear(pixels, hidden)
        self.fc21 = nn.Linear(hidden, latent)
        self.fc22 = nn.Linear(hidden, latent)
        self.fc3 = nn.Linear(latent, hidden)
        self.fc4 = nn.Linear(hidden, pixels)

    def posterior(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance of q(z|x), [N, latent] each, of flat pictures [N, pixels]."""
        hidden = F.relu(self.fc1(pixels))
        return self.fc21(hidden), self.fc22(hidden)

    def means(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.posteriors(pixels)[0]

    def posteriors(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.posterior(pixels.flatten(1))

    def pictures(self, latents: torch.Tensor) -> torch.Tensor:
        flat = self.fc4(F.relu(self.fc3(latents))).sigmoid()
        return flat.unflatten(1, (1, math.isqrt(flat.shape[1]), -1))


def detect(checkpoint: Checkpoint) -> bool:
    """Exactly its five layers, of square pictures."""
    if frozenset(checkpoint.tensors) != NAMES:
        return False
    pixels = checkpoint.tensors["fc1.weight"].shape[-1]
    return math.isqrt(pixels) ** 2 == pixels


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> Autoencoder:
    """All sizes are read from the shapes."""
    tensors = checkpoint.tensors
    hidden, pixels = tensors["fc1.weight"].shape
    latent = len(tensors["fc21.weight"])
    with empty_weights():
        network = MnistVAE(pixels, hidden, latent)
    weights.fill(network, tensors, f"{checkpoint.name}, {NAME}")
    side = math.isqrt(pixels)
    identity = weights.identity(tensors)
    descriptor = Descriptor(
        family="vae",
        architecture=NAME,
        height=side,
        width=side,
        channels=1,
        parameters=sum(map(torch.numel, network.parameters())),
        latent_shape=(latent,),
        options=OPTIONS,
        abilities=("sample", "encode", "decode", "interpolate"),
    )
    return Autoencoder(descriptor, network, standard_normal((latent,), identity), identity, FLOATS)


def tiny(folder: Path) -> Path:
    return write_random(folder, MnistVAE(36, 10, 4))


FAMILY: Final = Family(NAME, detect, load, tiny, weight_files, lambda: NAMES)
