"""BigGAN-deep as a generator: its truncation, its classes, its seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from ....errors import BadInput
from ....steps import OnStep, quiet
from ... import noise
from ...base import SETTLED, Descriptor, Generator, Latents, SampleRequest, as_images
from ...interpolation import spherical
from ..style_generator import NUMPY
from .network import BigGANDeep, most_floats

TRUNCATION: Final = "truncation_psi"
TRUNCATED: Final = f"z{SETTLED}"
"""Of z that has been multiplied by the truncation."""


class BigGANGenerator(Generator):
    """Latents "z", [N, z_dim], are normal numbers from -2 to 2; the truncation, by which they are multiplied and the
    norms' statistics are chosen, is applied when they are decoded. The class is the request's."""

    def __init__(self, architecture: str, network: BigGANDeep, class_names: tuple[str, ...], identity: str) -> None:
        sizes = network.sizes
        self.network = network
        self.modules = (network,)
        self.identity = identity
        self.descriptor = Descriptor(
            family="gan",
            architecture=architecture,
            height=sizes.side,
            width=sizes.side,
            channels=3,
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            conditions=("none", "class"),
            class_names=class_names,
            num_classes=sizes.classes,
            latent_shape=(sizes.z_dim,),
            options={TRUNCATION: 1.0, "seeding": NUMPY},
            abilities=("sample", "decode", "interpolate", "factorise", "project"),
        )

    def memory_bytes(self, batch_size: int) -> int:
        sizes = self.network.sizes
        # Before and after the last norm; then the picture as drawn, shifted and scaled.
        return 4 * batch_size * max(most_floats(sizes.layers), (2 * sizes.width + 9) * sizes.side**2)

    def draw(self, requests: Sequence[SampleRequest], options: Mapping[str, Any], on_step: OnStep) -> Tensor:
        images = self.decode(self.latents(requests, options), requests, options)
        on_step(1, images[0])
        return images

    def latents(self, requests: Sequence[SampleRequest], options: Mapping[str, Any]) -> Latents:
        return Latents(self._start(requests, options)[0], "z", self.identity)

    def settled(self, latents: Latents, options: Mapping[str, Any]) -> Latents:
        if latents.space == TRUNCATED:
            return latents
        return latents._replace(values=options[TRUNCATION] * latents.values, space=TRUNCATED)

    def readers(self) -> list[Tensor]:
        """What the first layer has for z; the rest of it is the class's."""
        return [self.network.generator.gen_z.weight[:, : self.network.sizes.z_dim]]

    def decode(
        self,
        latents: Latents,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        on_step: OnStep = quiet,
    ) -> Tensor:
        if latents.identity != self.identity:
            raise BadInput("latents: they belong to other weights; encode or draw them with this generator.")
        return as_images(self.render(self.settled(latents, options), (), requests, options))

    def render(
        self, latents: Latents, noise: Sequence[Tensor], requests: Sequence[SampleRequest], options: Mapping[str, Any]
    ) -> Tensor:
        truncation = options[TRUNCATION]
        if not 0 < truncation <= 1:
            raise BadInput(
                f"{TRUNCATION}: {truncation:g} is outside what {self.descriptor.architecture} was measured at; give "
                "more than 0, and at most 1."
            )
        _, classes = self._start(requests, options)
        device = self.network.embeddings.weight.device
        return (self.network(latents.values.to(device), classes.to(device), truncation) + 1) / 2

    def mean_latent(self) -> Latents:
        return Latents(torch.zeros(1, *self.descriptor.latent_shape), "z", self.identity)

    def interpolate(self, start: Latents, end: Latents, shares: Sequence[float]) -> Latents:
        return start._replace(values=spherical(start.values, end.values, shares))

    def _start(self, requests: Sequence[SampleRequest], options: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """z and classes."""
        own = noise.generators(requests)
        streams = noise.numpy_states(requests) if options["seeding"] == NUMPY else own
        z = noise.truncated_normal(streams, self.descriptor.latent_shape)
        return z, noise.labels(self.descriptor, requests, own)
