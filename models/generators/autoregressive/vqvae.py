"""VQ-VAE in the layout of AntixK/PyTorch-VAE (VQVAE)."""

from __future__ import annotations

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
from ..vae.autoencoder import OPTIONS, Autoencoder
from .quantised import QuantisedCoder

NAME: Final = "VQ-VAE"
SIGNS: Final = ("vq_layer.embedding.weight", "encoder.0.0.weight", "encoder.3.resblock.0.weight")
SIDE: Final = 64
"""Of the pictures that are drawn from latents of no given size; that project's default."""
SCALE: Final = 4
RESIDUALS: Final = 6


class VQVAE(QuantisedCoder):
    """Two strided convolutions, six residual blocks and the codebook; the same back to a tanh.

    channels: of pictures. codes, size: number of the codes and their length. widths: channels of the two levels.
    """

    def __init__(
        self, channels: int = 3, codes: int = 512, size: int = 64, widths: tuple[int, int] = (128, 256)
    ) -> None:
        super().__init__()
        fine, coarse = widths
        self.encoder = nn.Sequential(
            _step(nn.Conv2d(channels, fine, 4, stride=2, padding=1)),
            _step(nn.Conv2d(fine, coarse, 4, stride=2, padding=1)),
            _step(nn.Conv2d(coarse, coarse, 3, padding=1)),
            *[_Residual(coarse) for _ in range(RESIDUALS)],
            nn.LeakyReLU(),
            _step(nn.Conv2d(coarse, size, 1)),
        )
        self.vq_layer = nn.Module()
        self.vq_layer.embedding = nn.Embedding(codes, size)
        self.decoder = nn.Sequential(
            _step(nn.Conv2d(size, coarse, 3, padding=1)),
            *[_Residual(coarse) for _ in range(RESIDUALS)],
            nn.LeakyReLU(),
            _step(nn.ConvTranspose2d(coarse, fine, 4, stride=2, padding=1)),
            nn.Sequential(nn.ConvTranspose2d(fine, channels, 4, stride=2, padding=1), nn.Tanh()),
        )

    @property
    def book(self) -> torch.Tensor:
        return self.vq_layer.get_parameter("embedding.weight")

    def means(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.encoder(2 * pixels - 1)

    def restored(self, vectors: torch.Tensor) -> torch.Tensor:
        return (self.decoder(vectors) + 1) / 2


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.resblock = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.ReLU(), nn.Conv2d(width, width, 1, bias=False)
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features + self.resblock(features)


def _step(convolution: nn.Module) -> nn.Sequential:
    return nn.Sequential(convolution, nn.LeakyReLU())


def detect(checkpoint: Checkpoint) -> bool:
    """The names that this layout alone has."""
    return all(sign in checkpoint.tensors for sign in SIGNS)


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> Autoencoder:
    """All sizes are read from the shapes, but for that of pictures, which the layout leaves open."""
    tensors = checkpoint.tensors
    codes, size = tensors["vq_layer.embedding.weight"].shape
    fine, channels = tensors["encoder.0.0.weight"].shape[:2]
    coarse = len(tensors["encoder.3.resblock.0.weight"])
    with empty_weights():
        network = VQVAE(channels, codes, size, (fine, coarse))
    weights.fill(network, tensors, f"{checkpoint.name}, {NAME}")
    descriptor = Descriptor(
        family="vae",
        architecture=NAME,
        height=SIDE,
        width=SIDE,
        channels=channels,
        parameters=sum(map(torch.numel, network.parameters())),
        latent_shape=(size, SIDE // SCALE, SIDE // SCALE),
        size_multiple=SCALE,
        options=OPTIONS,
        abilities=("encode", "decode", "interpolate"),
    )
    # Either the last level's input and output before and after its activation, or distances to the codes.
    floats = max(fine / 2 + coarse / 16, 3 * coarse / 16, (codes + 2 * size) / 16)
    return Autoencoder(descriptor, network, None, weights.identity(tensors), floats)


def _typical() -> frozenset[str]:
    with empty_weights():
        return frozenset(VQVAE().state_dict())


def tiny(folder: Path) -> Path:
    return write_random(folder, VQVAE(codes=16, size=8, widths=(32, 64)))


FAMILY: Final = Family(NAME, detect, load, tiny, weight_files, _typical)
