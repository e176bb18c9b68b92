"""What plain GANs share: Gaussian z through one network to a picture in -1..1, without classes or options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import BadInput
from ...steps import OnStep, quiet
from .. import noise
from ..base import Descriptor, Generator, Latents, SampleRequest, as_images
from ..interpolation import spherical


class GaussianGAN(Generator):
    """A network of z, [N, *latent_shape], to pictures, [N, C, H, W] in -1..1. Latents "z" are that Gaussian.

    floats: the most numbers that the network holds at a time for one picture.
    """

    def __init__(
        self,
        architecture: str,
        network: nn.Module,
        latent_shape: tuple[int, ...],
        picture: tuple[int, int, int],
        floats: int,
        identity: str,
    ) -> None:
        channels, height, width = picture
        self.network = network
        self.modules = (network,)
        self.identity = identity
        # Afterwards a picture is there as drawn, shifted and scaled, or scaled and with three equal planes.
        self._floats = max(floats, max(3 * channels, channels + 3) * height * width)
        self.descriptor = Descriptor(
            family="gan",
            architecture=architecture,
            height=height,
            width=width,
            channels=channels,
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            latent_shape=latent_shape,
            abilities=("sample", "decode", "interpolate", "factorise", "project"),
        )

    def draw(self, requests: Sequence[SampleRequest], options: Mapping[str, Any], on_step: OnStep) -> Tensor:
        images = self.decode(self.latents(requests, options), requests, options)
        on_step(1, images[0, ..., :3])
        return images

    def latents(self, requests: Sequence[SampleRequest], options: Mapping[str, Any]) -> Latents:
        values = noise.normal(noise.generators(requests), self.descriptor.latent_shape)
        return Latents(values, "z", self.identity)

    def readers(self) -> list[Tensor]:
        """The first layer's matrix; of a transposed convolution, which sees one pixel, all taps are outputs."""
        layers = (layer for layer in self.network.modules() if isinstance(layer, (nn.Linear, nn.ConvTranspose2d)))
        first = next(layers)
        return [first.weight if isinstance(first, nn.Linear) else first.weight.flatten(1).T]

    def decode(
        self,
        latents: Latents,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        on_step: OnStep = quiet,
    ) -> Tensor:
        if latents.identity != self.identity:
            raise BadInput("latents: they belong to other weights; encode or draw them with this generator.")
        return as_images(self.render(latents, (), requests, options))

    def render(
        self, latents: Latents, noise: Sequence[Tensor], requests: Sequence[SampleRequest], options: Mapping[str, Any]
    ) -> Tensor:
        device = next(self.network.parameters()).device
        return (self.network(latents.values.to(device)) + 1) / 2

    def mean_latent(self) -> Latents:
        return Latents(torch.zeros(1, *self.descriptor.latent_shape), "z", self.identity)

    def interpolate(self, start: Latents, end: Latents, shares: Sequence[float]) -> Latents:
        return start._replace(values=spherical(start.values, end.values, shares))

    def memory_bytes(self, batch_size: int) -> int:
        return 4 * batch_size * self._floats
