"""What StyleGANs share: a mapping of z to one w per layer, truncation in w, walks and mixes, whose seeds they are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import BadInput
from ...steps import OnStep, quiet
from .. import noise
from ..base import SETTLED, Ability, Descriptor, Generator, Latents, SampleRequest, Space, as_images
from ..interpolation import straight

if TYPE_CHECKING:
    from .stylegan2.mapping import Mapping as MappingNetwork

Streams = Sequence[torch.Generator] | Sequence[np.random.RandomState]

NUMPY: Final = "numpy"
"""z, and what follows it, by numpy's RandomState, as NVIDIA's scripts draw them: a published seed gives the published
picture."""
TORCH: Final = "torch"
"""z, class and noise by torch's generator, as everywhere else in the pack."""
TRUNCATED: Final = f"w{SETTLED}"
"""Of w that has been truncated, or never is to be."""


class StyleNetwork(nn.Module):
    """z to w by `mapping`, w to pictures by the subclass. num_ws: layers that take a w of their own."""

    mapping: MappingNetwork
    z_dim: int
    c_dim: int
    w_dim: int
    num_ws: int
    resolution: int
    img_channels: int

    def style_weights(self) -> list[Tensor]:
        """By what each layer makes its style of w: [outputs, w_dim], as the file has it."""
        raise NotImplementedError

    def truncate(self, ws: Tensor, psi: float, cutoff: int = 0) -> Tensor:
        """ws [N, num_ws, w_dim] with the first `cutoff` layers (0: all) pulled to the mean: psi 1 leaves them."""
        layers = cutoff or self.num_ws
        return torch.cat([torch.lerp(self.mapping.w_avg, ws[:, :layers], psi), ws[:, layers:]], dim=1)

    def styles(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """ws [N, num_ws, w_dim], the same w for every layer. z: [N, z_dim]; labels: int64 [N]."""
        return self.mapping(z, labels)[:, None].repeat(1, self.num_ws, 1)


class StyleGenerator(Generator):
    """Latents: "w", [N, num_ws, w_dim], one w per layer (what `latents` gives), or "z", [N, z_dim], the Gaussian; both
    are truncated when they are decoded. "w+" is a w that is not.

    w tells the class too, therefore walks between classes lead through w.
    """

    network: StyleNetwork

    def __init__(
        self,
        architecture: str,
        network: StyleNetwork,
        class_names: tuple[str, ...],
        identity: str,
        options: Mapping[str, Any],
    ) -> None:
        abilities: tuple[Ability, ...] = ("sample", "decode", "interpolate", "style mix", "factorise", "project")
        self.network = network
        self.modules = (network,)
        self.identity = identity
        self.descriptor = Descriptor(
            family="gan",
            architecture=architecture,
            height=network.resolution,
            width=network.resolution,
            channels=network.img_channels,
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            conditions=("none", "class") if network.c_dim else ("none",),
            class_names=class_names,
            num_classes=network.c_dim,
            latent_shape=(network.num_ws, network.w_dim),
            options={"truncation_psi": 1.0, "truncation_cutoff": 0, **options},
            abilities=abilities,
        )

    @abstractmethod
    def pictures(self, ws: Tensor, noise: Sequence[Tensor | None], options: Mapping[str, Any]) -> Tensor:
        """The network's pictures, [N, C, H, W], about -1..1. ws: truncated. noise: what each layer adds, if any do."""

    def drawn_noise(self, streams: Streams, options: Mapping[str, Any]) -> Sequence[Tensor | None]:
        """What each layer adds, drawn by the streams where that is the noise mode; empty where no layer adds any."""
        return ()

    def for_layers(self, maps: Sequence[Tensor]) -> Sequence[Tensor | None]:
        """What each layer adds, of the maps of `noise_sides`."""
        return maps

    def draw(self, requests: Sequence[SampleRequest], options: Mapping[str, Any], on_step: OnStep) -> Tensor:
        z, labels, streams = self._start(requests, options["seeding"])
        images = self._images(self._truncated(self._styles(z, labels), options), streams, options)
        on_step(1, images[0, ..., :3])
        return images

    def latents(self, requests: Sequence[SampleRequest], options: Mapping[str, Any]) -> Latents:
        z, labels, _ = self._start(requests, options["seeding"])
        return Latents(self._styles(z, labels).cpu(), "w", self.identity)

    @property
    def spaces(self) -> tuple[Space, ...]:
        layers = self.network.num_ws
        return Space("w", (layers, self.network.w_dim), layers), Space("z", (self.network.z_dim,))

    def gaussian(self, requests: Sequence[SampleRequest], options: Mapping[str, Any]) -> Latents:
        return Latents(self._start(requests, options["seeding"])[0], "z", self.identity)

    def settled(self, latents: Latents, options: Mapping[str, Any]) -> Latents:
        if latents.space != "w":
            return latents
        ws = self._truncated(latents.values.to(self._device), options)
        return latents._replace(values=ws.cpu(), space=TRUNCATED)

    def readers(self) -> list[Tensor]:
        return self.network.style_weights()

    def decode(
        self,
        latents: Latents,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        on_step: OnStep = quiet,
    ) -> Tensor:
        self._check(latents, ("w", "z", TRUNCATED))
        _, labels, streams = self._start(requests, options["seeding"])
        ws = self._styles(latents.values, labels) if latents.space == "z" else latents.values.to(self._device)
        ws = ws if latents.space == TRUNCATED else self._truncated(ws, options)
        return self._images(ws, streams, options)

    def render(
        self, latents: Latents, noise: Sequence[Tensor], requests: Sequence[SampleRequest], options: Mapping[str, Any]
    ) -> Tensor:
        made = self.for_layers(noise) if noise else self.drawn_noise((), {**options, "noise_mode": "none"})
        return (self.pictures(latents.values.to(self._device), made, options) + 1) / 2

    def mean_latent(self) -> Latents:
        return Latents(self.network.mapping.w_avg.expand(1, self.network.num_ws, -1).cpu(), "w", self.identity)

    def interpolate(self, start: Latents, end: Latents, shares: Sequence[float]) -> Latents:
        self._check_pair(start, end)
        return start._replace(values=straight(start.values, end.values, shares))

    def style_mix(self, coarse: Latents, fine: Latents, crossover: int) -> Latents:
        """`crossover`: the first layer of `fine`, 0 to num_ws."""
        self._check_pair(coarse, fine)
        if not 0 <= crossover <= self.network.num_ws:
            raise BadInput(f"crossover: {crossover} is outside 0 to {self.network.num_ws}, the layers of the model.")
        pair = torch.broadcast_tensors(coarse.values, fine.values)
        return coarse._replace(values=torch.cat([pair[0][:, :crossover], pair[1][:, crossover:]], dim=1))

    @property
    def _device(self) -> torch.device:
        return self.network.mapping.w_avg.device

    def _start(self, requests: Sequence[SampleRequest], seeding: str = TORCH) -> tuple[Tensor, Tensor | None, Streams]:
        """z, classes, and the streams for the noise, which go on from there."""
        own = noise.generators(requests)
        streams = noise.numpy_states(requests) if seeding == NUMPY else own
        z = noise.normal(streams, (self.network.z_dim,))
        labels = noise.labels(self.descriptor, requests, own) if self.descriptor.num_classes else None
        return z, labels, streams

    def _styles(self, z: Tensor, labels: Tensor | None) -> Tensor:
        return self.network.styles(z.to(self._device), None if labels is None else labels.to(self._device))

    def _truncated(self, ws: Tensor, options: Mapping[str, Any]) -> Tensor:
        return self.network.truncate(ws, options["truncation_psi"], options["truncation_cutoff"])

    def _images(self, ws: Tensor, streams: Streams, options: Mapping[str, Any]) -> Tensor:
        images = self.pictures(ws, self.drawn_noise(streams, options), options)
        return as_images((images.float() + 1) / 2).clamp(0, 1)

    def _check_pair(self, one: Latents, other: Latents) -> None:
        """Both in w, and of both or of neither is it truncated already."""
        self._check(one, ("w", TRUNCATED))
        self._check(other, (one.space,))

    def _check(self, latents: Latents, spaces: Sequence[str]) -> None:
        if latents.identity != self.identity:
            raise BadInput("latents: they belong to other weights; encode or draw them with this generator.")
        if latents.space not in spaces:
            raise BadInput(f"latents: they are in the space {latents.space!r}; this takes {' or '.join(spaces)}.")
