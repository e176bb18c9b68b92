"""A diffusion model that the host has loaded, as a generator: an adapter over plain functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch

from ...steps import OnStep, quiet
from .. import noise
from ..base import Descriptor, Generator, Latents, SampleRequest
from ..interpolation import spherical


class Denoise(Protocol):
    """How a host turns noise into latents."""

    def __call__(
        self, noise: torch.Tensor, seeds: Sequence[int], steps: int, guidance_scale: float, on_step: OnStep, /
    ) -> torch.Tensor:
        """Latents of the shape of `noise`, float32 [N, ...], sample i depending on `noise[i]` and `seeds[i]` alone.

        on_step: called with the steps done for the whole batch, 1 to `steps`, and now and then with a preview.
        """
        ...


class HostModel(Generator):
    """Starts from the noise of each sample's own generator; the host denoises, decodes, and places its networks.

    The descriptor's options are `steps` and `guidance_scale`, its latents the initial noise.
    """

    def __init__(
        self,
        descriptor: Descriptor,
        denoise: Denoise,
        decode: Callable[[torch.Tensor], torch.Tensor],
        memory_bytes: Callable[[int], int],
        identity: str,
    ) -> None:
        """
        Args:
            decode: latents -> pictures, float32 [N, H, W, 3], 0..1, CPU.
            memory_bytes: the host's own estimate for a batch of N.
            identity: of weights, conditioning and sampler.
        """
        self.descriptor = descriptor
        self.modules = ()
        self.identity = identity
        self._denoise = denoise
        self._decode = decode
        self._memory_bytes = memory_bytes

    def draw(self, requests: Sequence[SampleRequest], options: Mapping[str, Any], on_step: OnStep) -> torch.Tensor:
        return self._pictures(self.latents(requests, options).values, requests, options, on_step)

    def memory_bytes(self, batch_size: int) -> int:
        return self._memory_bytes(batch_size)

    def evaluations(self, options: Mapping[str, Any]) -> int:
        return options["steps"]

    def latents(self, requests: Sequence[SampleRequest], options: Mapping[str, Any]) -> Latents:
        assert self.descriptor.latent_shape is not None
        start = noise.normal(noise.generators(requests), self.descriptor.latent_shape)
        return Latents(start, "z", self.identity)

    def decode(
        self,
        latents: Latents,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        on_step: OnStep = quiet,
    ) -> torch.Tensor:
        return self._pictures(latents.values, requests, options, on_step)

    def interpolate(self, start: Latents, end: Latents, shares: Sequence[float]) -> Latents:
        return Latents(spherical(start.values, end.values, shares), "z", self.identity)

    def _pictures(
        self, start: torch.Tensor, requests: Sequence[SampleRequest], options: Mapping[str, Any], on_step: OnStep
    ) -> torch.Tensor:
        seeds = [request.seed for request in requests]
        return self._decode(self._denoise(start, seeds, options["steps"], options["guidance_scale"], on_step))
