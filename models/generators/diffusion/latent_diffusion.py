"""Latent diffusion (Rombach et al., 2022, arXiv 2112.10752): Stable Diffusion by text, and U-Nets without conditions.

Inpainting models, whose U-Net also sees a mask and the picture around it, draw with all of a grey picture masked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import torch

from ...diffusion import prompts
from ...diffusion.autoencoders import decode, encode, latent_scale, preview
from ...diffusion.memory import unet_floats, vae_floats
from ...diffusion.prompts import Encoded
from ...diffusion.samplers import OWN, own_sampler
from ...diffusion.sampling import Predict
from ...diffusion.stable_diffusion import StableDiffusion
from ..base import Condition, Descriptor, SampleRequest
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

    def memory_bytes(self, batch_size: int) -> int:
        rows = self._rows(self.descriptor.options)
        return _memory(self, self._parts.unet, self._parts.vae, batch_size, rows)

    def _condition(
        self, requests: Sequence[SampleRequest], generators: Sequence[torch.Generator]
    ) -> Sequence[Condition]:
        return [request.condition for request in requests]

    def _network(self, condition: Sequence[Condition], generators: Sequence[torch.Generator], guided: bool) -> Predict:
        unet = self._parts.unet
        asked = [(each.negative, True) for each in condition if guided] + [(each.text, False) for each in condition]
        encoded = {each: self._encode(*each) for each in dict.fromkeys(asked)}
        context = self._context([encoded[each] for each in asked])
        around = self._around(generators)
        if around is not None and guided:
            around = torch.cat([around, around])

        def predict(latents: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
            given = latents if around is None else torch.cat([latents, around], dim=1)
            return unet(given.to(unet.dtype), time, **context).sample.float()

        return predict

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

    def _pictures(self, latents: torch.Tensor) -> torch.Tensor:
        return decode(self._parts.vae, latents)

    def _preview(self, latents: torch.Tensor) -> torch.Tensor:
        return preview(self._parts.vae, latents)


class UnconditionalLatentDiffusion(PixelDiffusion):
    """A UNet2DModel in the latent space of an autoencoder of diffusers, VQModel or AutoencoderKL."""

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
        return _memory(self, unet, vae, batch_size, rows=1)

    def _pictures(self, latents: torch.Tensor) -> torch.Tensor:
        return decode(self.modules[1], latents).expand(-1, -1, -1, 3).contiguous()

    def _preview(self, latents: torch.Tensor) -> torch.Tensor:
        return preview(self.modules[1], latents).expand(-1, -1, 3)


def _memory(generator: DiffusionGenerator, unet: Any, vae: Any, batch_size: int, rows: int) -> int:
    """The larger of what the U-Net needs for the batch, and the VAE for the one picture that it is given at a time.

    rows: how often the U-Net evaluates each sample in a step.
    """
    channels, height, width = generator.latent_shape
    pixels = generator.descriptor.height * generator.descriptor.width
    floats = rows * unet_floats(unet.config) + channels * STATE_FLOATS
    denoising = batch_size * height * width * floats * unet.dtype.itemsize
    decoding = pixels * vae_floats(vae.config) * vae.dtype.itemsize + batch_size * pixels * PICTURE_FLOATS * 4
    return int(max(denoising, decoding))


def _parameters(networks: Sequence[torch.nn.Module]) -> int:
    return sum(parameter.numel() for network in networks for parameter in network.parameters())
