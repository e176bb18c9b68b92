"""Stable Diffusion XL (Podell et al., 2023, arXiv 2307.01952): two text encoders, and a U-Net that is told its size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch

from ...diffusion import prompts
from ...diffusion.stable_diffusion import StableDiffusion
from .latent_diffusion import STEPS, Encoded, TextToImage

NAME: Final = "Stable Diffusion XL"
GUIDANCE_SCALE: Final = 5.0
"""As diffusers' StableDiffusionXLPipeline draws unasked."""


class StableDiffusionXL(TextToImage):
    """Stable Diffusion XL at its native size.

    second_encoder: CLIPTextModelWithProjection. second_tokenizer: its CLIPTokenizer. zero_negative: whether an empty
    negative prompt is all zeros instead of an encoded nothing (`force_zeros_for_empty_prompt`).
    """

    def __init__(
        self, networks: StableDiffusion, second_encoder: Any, second_tokenizer: Any, zero_negative: bool
    ) -> None:
        super().__init__(networks, STEPS, GUIDANCE_SCALE, architecture=NAME)
        self.scheduler_config = networks.scheduler_config
        self._second = (second_encoder, second_tokenizer)
        self._zero_negative = zero_negative
        self._extend((second_encoder,))

    def _encode(self, text: str, negative: bool) -> Encoded:
        first, _ = prompts.penultimate(self._parts.text_encoder, self._parts.tokenizer, text)
        second, pooled = prompts.penultimate(*self._second, text)
        # Both tokenizers have the same merges, so that a prompt has as many pieces for either.
        encoded = Encoded(torch.cat([first, second], dim=-1), pooled)
        if negative and not text and self._zero_negative:
            return Encoded(torch.zeros_like(encoded.states), torch.zeros_like(pooled))
        return encoded

    def _context(self, encoded: Sequence[Encoded]) -> dict[str, Any]:
        unet = self._parts.unet
        height, width = self.descriptor.height, self.descriptor.width
        # Original size, corner of the crop, and size that is asked for.
        sizes = torch.tensor([[height, width, 0, 0, height, width]], device=unet.device, dtype=unet.dtype)
        pooled = torch.stack([each.pooled for each in encoded if each.pooled is not None]).to(unet.dtype)
        added = {"text_embeds": pooled, "time_ids": sizes.expand(len(encoded), -1)}
        return {**super()._context(encoded), "added_cond_kwargs": added}
