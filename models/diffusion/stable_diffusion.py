"""Stable Diffusion models (Rombach et al., 2022, arXiv 2112.10752) as a bundle of parts that paint by text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from torch import nn

from . import autoencoders
from .adapters.control import Control
from .memory import unet_floats

NAME: Final = "Stable Diffusion"
XL_NAME: Final = "Stable Diffusion XL"
LATENT_SETTINGS: Final = {"clip_sample": False, "steps_offset": 1}
"""What diffusers' pipelines of Stable Diffusion set on every scheduler: latents have no limits to clip at."""


class SecondEncoder(NamedTuple):
    """What Stable Diffusion XL reads prompts with besides (Podell et al., 2023, arXiv 2307.01952).

    encoder: CLIPTextModelWithProjection. tokenizer: its CLIPTokenizer. zero_negative: whether an empty negative prompt
    is all zeros instead of an encoded nothing (`force_zeros_for_empty_prompt`).
    """

    encoder: Any
    tokenizer: Any
    zero_negative: bool = True


class StableDiffusion(NamedTuple):
    """A Stable Diffusion model.

    unet: UNet2DConditionModel with 9 input channels (latents, mask, latents of the masked picture) or 4 (latents).
    vae: AutoencoderKL or AutoencoderTiny. text_encoder: CLIPTextModel. tokenizer: CLIPTokenizer.
    scheduler_config: the model's own scheduler, with its class under `_class_name`. second: of Stable Diffusion XL.
    controls: ControlNets that steer the U-Net. composition: LoRAs in regions of the picture, see adapters/regions.py.
    """

    unet: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    scheduler_config: Mapping[str, Any]
    second: SecondEncoder | None = None
    controls: tuple[Control, ...] = ()
    composition: nn.Module | None = None

    @property
    def name(self) -> str:
        """Of its architecture, where nothing more is known of it."""
        return NAME if self.second is None else XL_NAME

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        """The networks that must be on one device at the same time."""
        networks = [self.unet, self.vae, self.text_encoder]
        networks += [] if self.second is None else [self.second.encoder]
        networks += [] if self.composition is None else [self.composition]
        # One ControlNet may be there twice, with other hints.
        return (*networks, *dict.fromkeys(control.net.network for control in self.controls))

    @property
    def step_floats(self) -> float:
        """Peak floats per latent cell of each row of a step: of the U-Net with what ControlNets hand to it, or of one
        of these that looks at its hint."""
        handed = sum(control.net.residual_floats for control in self.controls)
        return max(unet_floats(self.unet.config) + handed, *(control.net.hint_floats for control in self.controls), 0.0)

    @property
    def latent_settings(self) -> Mapping[str, Any]:
        """Its scheduler's settings, as diffusers' pipelines change them: those of XL leave them as they are."""
        return self.scheduler_config if self.second is not None else {**self.scheduler_config, **LATENT_SETTINGS}

    @property
    def latent_channels(self) -> int:
        """Channels of a latent cell."""
        return self.vae.config.latent_channels

    @property
    def latent_scale(self) -> int:
        """Pixels to a latent cell, along a side."""
        return autoencoders.latent_scale(self.vae)

    @property
    def native_resolution(self) -> int:
        """Side in pixels of the pictures that the model was made for."""
        return self.unet.config.sample_size * self.latent_scale

    @property
    def sees_holes(self) -> bool:
        """Whether the U-Net is an inpainting model's, which is also given the mask and the picture around it."""
        return self.unet.config.in_channels != self.latent_channels

    def padded_size(self, height: int, width: int) -> tuple[int, int]:
        """The next larger size that every level of the networks halves without remainder."""
        multiple = self.latent_scale * 2 ** (len(self.unet.config.block_out_channels) - 1)
        return -(-height // multiple) * multiple, -(-width // multiple) * multiple
