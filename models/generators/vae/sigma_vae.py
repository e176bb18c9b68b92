"""The starter VAE: convolutional, with a deviation of the pixels that balances its loss, and a prior per class.

Decoder variance as in "sigma-VAE" (Rybkin 2021). The prior has a unit Gaussian for each class, about a learned mean:
one class can be drawn, and no sample lies between two.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import torch
from torch import nn

from ... import weights
from ...errors import BadCheckpoint
from ...families import Family
from ...files.checkpoints import Checkpoint, described
from ...files.folders import weight_files
from ...random_weights import random_weights, write
from ...weights import DtypeFor, empty_weights, full_precision
from ..base import Descriptor
from .autoencoder import OPTIONS, Autoencoder
from .priors import Prior, diagonal, standard_normal

NAME: Final = "sigma-VAE"
LOWEST: Final = 4
NORM_GROUPS: Final = 8
"""Cannot be detected; the recipe's."""
MEANS: Final = "prior.means"
CLASSES: Final = "one Gaussian per class"
SIGNS: Final = ("encoder.0.0.weight", "posterior.weight", "expansion.weight", "decoder.0.3.weight", "to_rgb.weight")


class SigmaVAE(nn.Module):
    """Strided convolutions to 4 x 4 and back by nearest upsampling, with group norm and SiLU.

    widths: channels of the levels, the first at half of the picture's side, the last at 4 x 4 pixels.
    """

    def __init__(self, latent: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.latent = latent
        self.widths = tuple(widths)
        self.size = LOWEST * 2 ** len(widths)
        features = widths[-1] * LOWEST**2
        self.encoder = nn.Sequential(*[_down(*pair) for pair in pairwise((3, *widths))])
        self.posterior = nn.Linear(features, 2 * latent)
        self.expansion = nn.Linear(latent, features)
        self.decoder = nn.Sequential(*[_up(*pair) for pair in pairwise((*reversed(widths), widths[0]))])
        self.to_rgb = nn.Conv2d(widths[0], 3, 3, padding=1)

    def encode(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance of q(z|x), [N, latent] each, of pictures [N, 3, S, S] in -1..1."""
        mean, log_variance = self.posterior(self.encoder(images).flatten(1)).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Mean of p(x|z), [N, 3, S, S] in about -1..1, of latents [N, latent]."""
        expanded = self.expansion(latents).unflatten(1, (-1, LOWEST, LOWEST))
        return self.to_rgb(self.decoder(expanded))

    def means(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.posteriors(pixels)[0]

    def posteriors(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.encode(2 * pixels - 1)

    def pictures(self, latents: torch.Tensor) -> torch.Tensor:
        return (self.decode(latents) + 1) / 2


def _down(inputs: int, outputs: int) -> nn.Sequential:
    """Half the side."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.GroupNorm(NORM_GROUPS, outputs), nn.SiLU()
    )


def _up(inputs: int, outputs: int) -> nn.Sequential:
    """Twice the side."""
    return nn.Sequential(
        nn.GroupNorm(NORM_GROUPS, inputs),
        nn.SiLU(),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.GroupNorm(NORM_GROUPS, outputs),
        nn.SiLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
    )


def detect(checkpoint: Checkpoint) -> bool:
    """The names that this layout alone has."""
    return all(sign in checkpoint.tensors for sign in SIGNS)


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> Autoencoder:
    """Sizes are read from the shapes, the names of classes from the metadata. Without means of classes the prior is
    standard normal.

    Raises:
        BadCheckpoint: a tensor too many or too few, or of another shape.
    """
    tensors = dict(checkpoint.tensors)
    identity = weights.identity(tensors)
    means = tensors.pop(MEANS, None)
    levels = weights.count_layers(tensors, "encoder.{}.0.weight")
    widths = [len(tensors[f"encoder.{level}.0.weight"]) for level in range(levels)]
    latent = tensors["expansion.weight"].shape[1]
    if means is not None and means.shape[1:] != (latent,):
        raise BadCheckpoint(
            f"{checkpoint.name}, {NAME}: its {MEANS} are not of {latent} numbers each; download it again, or choose "
            "another file."
        )
    with empty_weights():
        network = SigmaVAE(latent, widths)
    weights.fill(network, tensors, f"{checkpoint.name}, {NAME}")
    classes = 0 if means is None else len(means)
    descriptor = Descriptor(
        family="vae",
        architecture=NAME,
        height=network.size,
        width=network.size,
        channels=3,
        parameters=sum(map(torch.numel, network.parameters())),
        conditions=("none", "class") if classes else ("none",),
        class_names=tuple(described(checkpoint.metadata).get("class_names", ())) if classes else (),
        num_classes=classes,
        latent_shape=(latent,),
        options=OPTIONS,
        abilities=("sample", "encode", "decode", "interpolate"),
    )
    # The finest level: a convolution's input and output, and a quarter of it from the level below.
    floats = 2.25 * widths[0]
    return Autoencoder(descriptor, network, _prior(means, latent, identity), identity, floats)


def _prior(means: torch.Tensor | None, latent: int, identity: str) -> Prior:
    if means is None:
        return standard_normal((latent,), identity)
    return diagonal(CLASSES, (latent,), means, torch.ones(means.shape), identity)


def _typical() -> frozenset[str]:
    with empty_weights():
        return frozenset({*SigmaVAE(64, (32, 64, 128)).state_dict(), MEANS})


def tiny(folder: Path) -> Path:
    means = torch.randn(2, 4, generator=torch.Generator().manual_seed(1))
    return write(folder / "tiny.safetensors", {**random_weights(SigmaVAE(4, (8, 16))), MEANS: means})


FAMILY: Final = Family(NAME, detect, load, tiny, weight_files, _typical)
