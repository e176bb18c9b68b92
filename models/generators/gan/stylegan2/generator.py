"""StyleGAN2 as a generator: truncation, noise modes, walks and mixes in w."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ....errors import BadInput
from ....steps import OnStep, quiet
from ... import noise
from ...base import Descriptor, Generator, Latents, SampleRequest, as_images
from ...interpolation import straight
from .network import StyleGAN2

LAYERS_HELD = 5.2
"""Activations of the widest layer that are there at a time: its input before and after its style, its output before
and after its noise; less with constant noise."""


class StyleGAN2Generator(Generator):
    """Latents: "w", [N, num_ws, w_dim], one w per layer (what `latents` gives), or "z", [N, z_dim], the Gaussian.

    w tells the class too, therefore walks between classes lead through w. Options act on latents of both spaces:
    truncation is applied when they are decoded.
    """

    def __init__(self, architecture: str, network: StyleGAN2, class_names: tuple[str, ...], identity: str) -> None:
        sizes = network.sizes
        self.network = network
        self.modules = (network,)
        self.identity = identity
        self.descriptor = Descriptor(
            family="gan",
            architecture=architecture,
            height=sizes.resolution,
            width=sizes.resolution,
            channels=sizes.img_channels,
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            conditions=("none", "class") if sizes.c_dim else ("none",),
            class_names=class_names,
            num_classes=sizes.c_dim,
            latent_shape=(network.num_ws, sizes.w_dim),
            options={"truncation_psi": 1.0, "truncation_cutoff": 0, "noise_mode": "random"},
            abilities=("sample", "decode", "interpolate", "style mix"),
        )

    def draw(self, requests: Sequence[SampleRequest], options: Mapping[str, Any], on_step: OnStep) -> Tensor:
        z, labels, generators = self._start(requests)
        images = self._pictures(self._styles(z, labels), generators, options)
        on_step(1, images[0, ..., :3])
        return images

    def latents(self, requests: Sequence[SampleRequest], options: Mapping[str, Any]) -> Latents:
        z, labels, _ = self._start(requests)
        return Latents(self._styles(z, labels).cpu(), "w", self.identity)

    def decode(
        self,
        latents: Latents,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        on_step: OnStep = quiet,
    ) -> Tensor:
        self._check(latents, ("w", "z"))
        _, labels, generators = self._start(requests)
        ws = self._styles(latents.values, labels) if latents.space == "z" else latents.values
        return self._pictures(ws.to(self._device), generators, options)

    def mean_latent(self) -> Latents:
        return Latents(self.network.mapping.w_avg.expand(1, self.network.num_ws, -1).cpu(), "w", self.identity)

    def interpolate(self, start: Latents, end: Latents, shares: Sequence[float]) -> Latents:
        self._check(start, ("w",))
        self._check(end, ("w",))
        return start._replace(values=straight(start.values, end.values, shares))

    def style_mix(self, coarse: Latents, fine: Latents, crossover: int) -> Latents:
        """`crossover`: the first layer of `fine`, 0 to num_ws; layers 2 k + 1 and 2 k + 2 double to 4 * 2^(k+1) px."""
        self._check(coarse, ("w",))
        self._check(fine, ("w",))
        if not 0 <= crossover <= self.network.num_ws:
            raise BadInput(f"crossover: {crossover} is outside 0 to {self.network.num_ws}, the layers of the model.")
        pair = torch.broadcast_tensors(coarse.values, fine.values)
        return coarse._replace(values=torch.cat([pair[0][:, :crossover], pair[1][:, crossover:]], dim=1))

    def memory_bytes(self, batch_size: int) -> int:
        blocks = zip(self.network.sizes.channels, self.network.synthesis.sides, strict=True)
        widest = max(channels * side**2 for channels, side in blocks)
        return int(4 * batch_size * LAYERS_HELD * widest)

    @property
    def _device(self) -> torch.device:
        return self.network.mapping.w_avg.device

    def _start(self, requests: Sequence[SampleRequest]) -> tuple[Tensor, Tensor | None, list[torch.Generator]]:
        """z, classes, and the generators for the noise, which go on from there."""
        generators = noise.generators(requests)
        z = noise.normal(generators, (self.network.sizes.z_dim,))
        labels = noise.labels(self.descriptor, requests, generators) if self.descriptor.num_classes else None
        return z, labels, generators

    def _styles(self, z: Tensor, labels: Tensor | None) -> Tensor:
        return self.network.styles(z.to(self._device), None if labels is None else labels.to(self._device))

    def _pictures(self, ws: Tensor, generators: Sequence[torch.Generator], options: Mapping[str, Any]) -> Tensor:
        ws = self.network.truncate(ws, options["truncation_psi"], options["truncation_cutoff"])
        images = self.network(ws, self._noise(generators, options["noise_mode"]))
        return as_images((images.float() + 1) / 2).clamp(0, 1)

    def _noise(self, generators: Sequence[torch.Generator], mode: str) -> Sequence[Tensor | None]:
        if mode == "const":
            return self.network.const_noise()
        if mode == "none":
            return self.network.no_noise()
        return [noise.normal(generators, (1, side, side)).to(self._device) for side in self.network.noise_sides]

    def _check(self, latents: Latents, spaces: Sequence[str]) -> None:
        if latents.identity != self.identity:
            raise BadInput("latents: they belong to other weights; encode or draw them with this generator.")
        if latents.space not in spaces:
            raise BadInput(f"latents: they are in the space {latents.space!r}; this takes {' or '.join(spaces)}.")
