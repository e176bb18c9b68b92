"""A denoising diffusion GAN as a generator: noise to pictures in a few steps, each drawn by a GAN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ....steps import OnStep, quiet, within
from ... import noise
from ...base import Descriptor, Generator, Latents, SampleRequest, as_images
from ...interpolation import spherical
from .memory import peak_floats
from .network import DenoisingGenerator
from .process import steps_of


class DenoisingDiffusionGAN(Generator):
    """Latents "z" are the noise that the first step begins with; the latents of the steps and the noise between them
    are of the sample's seed too, and stay as they are where latents are given.

    side: of the pictures, pixels. steps: of the diffusion, which the network was trained for.
    """

    def __init__(self, architecture: str, network: DenoisingGenerator, side: int, steps: int, identity: str) -> None:
        self.network = network
        self.modules = (network,)
        self.identity = identity
        self._steps = steps_of(steps)
        self.descriptor = Descriptor(
            family="diffusion",
            architecture=architecture,
            height=side,
            width=side,
            channels=network.sizes.colours,
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            latent_shape=(network.sizes.colours, side, side),
            abilities=("sample", "decode", "interpolate"),
        )

    def evaluations(self, options: Mapping[str, Any]) -> int:
        return len(self._steps)

    def memory_bytes(self, batch_size: int) -> int:
        return int(4 * batch_size * peak_floats(self.network.sizes, self.descriptor.latent_shape[1]))

    def draw(self, requests: Sequence[SampleRequest], options: Mapping[str, Any], on_step: OnStep) -> Tensor:
        return self._run(requests, on_step)

    def latents(self, requests: Sequence[SampleRequest], options: Mapping[str, Any]) -> Latents:
        values = noise.normal(noise.generators(requests), self.descriptor.latent_shape)
        return Latents(values, "z", self.identity)

    def decode(
        self,
        latents: Latents,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        on_step: OnStep = quiet,
    ) -> Tensor:
        self.space_of(latents)
        return self._run(requests, on_step, latents.values)

    def interpolate(self, start: Latents, end: Latents, shares: Sequence[float]) -> Latents:
        return start._replace(values=spherical(start.values, end.values, shares))

    def mean_latent(self) -> Latents:
        return Latents(torch.zeros(1, *self.descriptor.latent_shape), "z", self.identity)

    def _run(self, requests: Sequence[SampleRequest], on_step: OnStep, given: Tensor | None = None) -> Tensor:
        """Random numbers of a sample come in the order of the reference's: its noise, then of each step the latent and
        the noise that is left."""
        weight = next(self.network.parameters())
        generators = noise.generators(requests)
        drawn = noise.normal(generators, self.descriptor.latent_shape)
        pictures = (drawn if given is None else given).to(weight)
        done = 0
        with within(self.modules, lambda: on_step(done)):
            for time, step in reversed(list(enumerate(self._steps))):
                z = noise.normal(generators, (self.network.sizes.z_dim,)).to(weight)
                # One time for all: its embedding is made once, not for each sample.
                clean = self.network(pictures, torch.tensor([time], device=weight.device), z)
                pictures = step.clean * clean + step.noisy * pictures
                if time:
                    left = noise.normal(generators, self.descriptor.latent_shape).to(weight)
                    pictures = pictures + step.deviation * left
                done += 1
                on_step(done, as_images(clean[:1] / 2 + 0.5).clamp(0, 1)[0])
        return as_images(pictures / 2 + 0.5).clamp(0, 1)
