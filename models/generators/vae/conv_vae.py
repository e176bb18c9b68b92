"""Convolutional VAE and beta-VAE in the layout of AntixK/PyTorch-VAE (VanillaVAE, BetaVAE).

The two differ in their losses alone: which of them a file holds, and its beta, cannot be detected and is not needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import torch
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

NAME: Final = "convolutional VAE"
SIGNS: Final = ("encoder.0.0.weight", "fc_mu.weight", "fc_var.weight", "decoder_input.weight", "final_layer.3.weight")
LOWEST: Final = 2
WIDTHS: Final = (32, 64, 128, 256, 512)


class ConvVAE(nn.Module):
    """Strided convolutions with batch norm down to 2 x 2, transposed ones back, tanh.

    widths: channels of the levels, from the pixels on; pictures are 2^(levels + 1) pixels a side.
    """

    def __init__(self, channels: int = 3, latent: int = 128, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        features = widths[-1] * LOWEST**2
        self.encoder = nn.Sequential(*[_down(*pair) for pair in pairwise((channels, *widths))])
        self.fc_mu = nn.Linear(features, latent)
        self.fc_var = nn.Linear(features, latent)
        self.decoder_input = nn.Linear(latent, features)
        self.decoder = nn.Sequential(*[_up(*pair) for pair in pairwise(widths[::-1])])
        self.final_layer = nn.Sequential(
            *_up(widths[0], widths[0]), nn.Conv2d(widths[0], 3, kernel_size=3, padding=1), nn.Tanh()
        )

    def posterior(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance of q(z|x), [N, latent] each, of pictures [N, C, S, S] in -1..1."""
        features = self.encoder(images).flatten(1)
        return self.fc_mu(features), self.fc_var(features)

    def restore(self, latents: torch.Tensor) -> torch.Tensor:
        """Mean of p(x|z), [N, 3, S, S] in -1..1."""
        features = self.decoder_input(latents).unflatten(1, (-1, LOWEST, LOWEST))
        return self.final_layer(self.decoder(features))

    def means(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.posteriors(pixels)[0]

    def posteriors(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.posterior(2 * pixels - 1)

    def pictures(self, latents: torch.Tensor) -> torch.Tensor:
        return (self.restore(latents) + 1) / 2


def _down(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel_size=3, stride=2, padding=1), nn.BatchNorm2d(outputs), nn.LeakyReLU()
    )


def _up(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, kernel_size=3, stride=2, padding=1, output_padding=1),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(),
    )


def detect(checkpoint: Checkpoint) -> bool:
    """The names that this layout alone has."""
    return all(sign in checkpoint.tensors for sign in SIGNS)


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> Autoencoder:
    """Channels, widths, latent size and so the resolution are read from the shapes."""
    tensors = checkpoint.tensors
    levels = weights.count_layers(tensors, "encoder.{}.0.weight")
    widths = [len(tensors[f"encoder.{level}.0.weight"]) for level in range(levels)]
    channels = tensors["encoder.0.0.weight"].shape[1]
    latent = len(tensors["fc_mu.weight"])
    with empty_weights():
        network = ConvVAE(channels, latent, widths)
    weights.fill(network, tensors, f"{checkpoint.name}, {NAME}")
    side = LOWEST * 2 ** len(widths)
    identity = weights.identity(tensors)
    descriptor = Descriptor(
        family="vae",
        architecture=NAME,
        height=side,
        width=side,
        channels=channels,
        parameters=sum(map(torch.numel, network.parameters())),
        latent_shape=(latent,),
        options=OPTIONS,
        abilities=("sample", "encode", "decode", "interpolate"),
    )
    # The last level: a convolution normalised and activated, and a quarter of it from the level below.
    floats = 2.25 * widths[0]
    return Autoencoder(descriptor, network, standard_normal((latent,), identity), identity, floats)


def _typical() -> frozenset[str]:
    with empty_weights():
        return frozenset(ConvVAE().state_dict())


def tiny(folder: Path) -> Path:
    return write_random(folder, ConvVAE(3, 5, (6, 8, 12)))


FAMILY: Final = Family(NAME, detect, load, tiny, weight_files, _typical)
