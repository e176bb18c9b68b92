"""Latent diffusion (Rombach et al., 2022, arXiv 2112.10752): Stable Diffusion by text, and U-Nets without conditions.

Inpainting models, whose U-Net also sees a mask and the picture around it, draw with all of a grey picture masked.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch

from ...diffusion import prompts
from ...diffusion.adapters.control import Steering
from ...diffusion.adapters.regions import Composing, Composition
from ...diffusion.autoencoders import decoded, encode, latent_scale, preview
from ...diffusion.denoiser import predictor
from ...diffusion.memory import unet_floats, vae_floats
from ...diffusion.prompts import Encoded
from ...diffusion.samplers import OWN, own_sampler
from ...diffusion.sampling import Predict
from ...diffusion.stable_diffusion import StableDiffusion
from ..base import Descriptor, SampleRequest
from .base import DiffusionGenerator
from .ddpm import STATE_FLOATS, PixelDiffusion

UNCONDITIONAL: Final = "latent diffusion"
STEPS: Final = 50
GUIDANCE_SCALE: Final = 7.5
XL_GUIDANCE_SCALE: Final = 5.0
"""As diffusers' StableDiffusionPipeline and StableDiffusionXLPipeline draw unasked."""

PICTURE_FLOATS: Final = 9
"""Floats per pixel of a batch: the pictures decoded, stacked and scaled, three channels each."""


class TextToImage(DiffusionGenerator):
    """A Stable Diffusion model that draws by prompt, at the resolution that it was made for.

    networks: U-Net with 4 channels (latents) or 9 (inpainting), VAE, text encoder, tokenizer, scheduler. steps,
    guidance_scale: the model's own, diffusers' where it has none. names: what it can draw, where that is a closed set.
    """

    def __init__(
        self,
        networks: StableDiffusion,
        steps: int = STEPS,
        guidance_scale: float | None = None,
        names: Sequence[str] = (),
        architecture: str = "",
    ) -> None:
        self.modules = networks.modules
        self.scheduler_config = networks.latent_settings
        self._parts = networks
        size, scale = networks.native_resolution, networks.latent_scale
        usual = GUIDANCE_SCALE if networks.second is None else XL_GUIDANCE_SCALE
        self.descriptor = Descriptor(
            family="diffusion",
            architecture=architecture or networks.name,
            height=size,
            width=size,
            channels=3,
            parameters=_parameters(self.modules),
            conditions=("none", "prompt"),
            class_names=tuple(names),
            latent_shape=(networks.latent_channels, size // scale, size // scale),
            options={
                "sampler": own_sampler(self.scheduler_config),
                "steps": steps,
                "eta": 0.0,
                "guidance_scale": usual if guidance_scale is None else guidance_scale,
                "spacing": OWN,
            },
            abilities=("sample", "decode", "interpolate"),
        )

    @property
    def networks(self) -> StableDiffusion:
        """The model that draws."""
        return self._parts

    def with_networks(self, networks: StableDiffusion, files: Sequence[Path], notes: Sequence[str]) -> TextToImage:
        """The same model with other networks, such as adapted ones. files, notes: what they come from besides."""
        made = copy.copy(self)
        made._parts, made.modules, made._identity = networks, networks.modules, None
        made.descriptor = replace(self.descriptor, parameters=_parameters(made.modules))
        made.files, made.notes = (*self.files, *files), (*self.notes, *notes)
        return made

    def memory_bytes(self, batch_size: int) -> int:
        rows = self._rows(self.descriptor.options)
        return _memory(self, self._parts.unet, self._parts.vae, batch_size, rows * self._parts.step_floats)

    def _condition(
        self, requests: Sequence[SampleRequest], generators: Sequence[torch.Generator]
    ) -> Sequence[SampleRequest]:
        return requests

    def _network(
        self, condition: Sequence[SampleRequest], generators: Sequence[torch.Generator], guided: bool, calls: int
    ) -> Predict:
        given = [each.condition for each in condition]
        asked = [(each.negative, True) for each in given if guided] + [(each.text, False) for each in given]
        encoded = {each: self._encode(*each) for each in dict.fromkeys(asked)}
        around = self._around(generators)
        if around is not None and guided:
            around = torch.cat([around, around])
        size, steering = (self.descriptor.height, self.descriptor.width), None
        if self._parts.controls:
            frames = [each.index for each in condition] * (2 if guided else 1)
            cells = (self.latent_shape[1], self.latent_shape[2])
            steering = Steering(self._parts.controls, frames, size, size, cells, calls)
        rows, composing = [encoded[each] for each in asked], None
        if isinstance(self._parts.composition, Composition):
            frames = [each.index for each in condition] * (2 if guided else 1)
            negative = [said for _, said in asked]
            composing = Composing(self._parts.composition, rows, negative, frames, size, size)
        return predictor(self._parts, rows, *size, around, steering, composing)

    def _encode(self, text: str, negative: bool) -> Encoded:
        """Each prompt on its own, so that none depends on the batch."""
        return prompts.encoded(self._parts, text, negative)

    def _context(self, encoded: Sequence[Encoded]) -> dict[str, Any]:
        """The U-Net's inputs for a batch."""
        return prompts.unet_inputs(self._parts, encoded, self.descriptor.height, self.descriptor.width)

    def _around(self, generators: Sequence[torch.Generator]) -> torch.Tensor | None:
        """[N, 1 + C, h, w], what an inpainting U-Net sees beside the latents: a full mask, and latents of grey."""
        unet, vae = self._parts.unet, self._parts.vae
        if not self._parts.sees_holes:
            return None
        grey = torch.zeros(len(generators), 3, self.descriptor.height, self.descriptor.width, device=unet.device)
        latents = encode(vae, grey, generators)
        return torch.cat([torch.ones_like(latents[:, :1]), latents], dim=1)

    def _rendered(self, latents: torch.Tensor) -> torch.Tensor:
        return decoded(self._parts.vae, latents)

    def _preview(self, latents: torch.Tensor) -> torch.Tensor:
        return preview(self._parts.vae, latents)


class UnconditionalLatentDiffusion(PixelDiffusion):
    """A UNet2DModel in the latent space of an autoencoder of diffusers, VQModel or AutoencoderKL."""

    pixels = False

    def __init__(self, unet: Any, vae: Any, scheduler_config: Mapping[str, Any], steps: int = STEPS) -> None:
        super().__init__(unet, scheduler_config, steps, architecture=UNCONDITIONAL)
        self.modules = (unet, vae)
        scale = latent_scale(vae)
        self.descriptor = replace(
            self.descriptor,
            height=self.descriptor.height * scale,
            width=self.descriptor.width * scale,
            channels=vae.config.out_channels,
            parameters=_parameters(self.modules),
        )

    def memory_bytes(self, batch_size: int) -> int:
        unet, vae = self.modules
        return _memory(self, unet, vae, batch_size, unet_floats(unet.config))

    def _rendered(self, latents: torch.Tensor) -> torch.Tensor:
        return decoded(self.modules[1], latents)

    def _preview(self, latents: torch.Tensor) -> torch.Tensor:
        return preview(self.modules[1], latents).expand(-1, -1, 3)


def _memory(generator: DiffusionGenerator, unet: Any, vae: Any, batch_size: int, floats: float) -> int:
    """The larger of what the U-Net needs for the batch, and the VAE for the one picture that it is given at a time.

    floats: per latent cell of a sample, of a step.
    """
    channels, height, width = generator.latent_shape
    pixels = generator.descriptor.height * generator.descriptor.width
    denoising = batch_size * height * width * (floats + channels * STATE_FLOATS) * unet.dtype.itemsize
    decoding = pixels * vae_floats(vae.config) * vae.dtype.itemsize + batch_size * pixels * PICTURE_FLOATS * 4
    return int(max(denoising, decoding))


def _parameters(networks: Sequence[torch.nn.Module]) -> int:
    return sum(parameter.numel() for network in networks for parameter in network.parameters())
