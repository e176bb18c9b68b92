"""Stable Diffusion 3, Flux and CogView4: transformers that text and picture go through together, by rectified flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch

from ..base import SampleRequest
from . import pipeline_memory as memory
from .pipeline_parts import CLIP, GLM, T5
from .prompt_pipelines import FLOW, PromptPipeline

FLUX_CELLS: Final = 128
"""Cannot be detected: latents along a side of Flux's pictures, as diffusers draws unasked."""
SCHNELL_STEPS: Final = 4
SCHNELL_LENGTH: Final = 256
GLM_BLOCK: Final = 16
"""Prompts are filled up to a multiple of so many tokens."""


class StableDiffusion3(PromptPipeline):
    """Stable Diffusion 3 and 3.5 (Esser et al., 2024, arXiv 2403.03206). T5 may be left out of the folder."""

    PIPELINE = "StableDiffusion3Pipeline"
    ARCHITECTURE = "Stable Diffusion 3"
    CLASSES = {
        "tokenizer": CLIP,
        "text_encoder": ("CLIPTextModelWithProjection",),
        "tokenizer_2": CLIP,
        "text_encoder_2": ("CLIPTextModelWithProjection",),
        "tokenizer_3": T5,
        "text_encoder_3": ("T5EncoderModel",),
        "transformer": ("SD3Transformer2DModel",),
        "vae": ("AutoencoderKL",),
        "scheduler": FLOW,
    }
    OPTIONAL = ("tokenizer_3", "text_encoder_3")
    STEPS = 28
    GUIDANCE = 7.0
    READER = "text_encoder_3"
    LENGTH = 256

    def _encoding_floats(self, batch_size: int) -> float:
        return super()._encoding_floats(batch_size) if self.READER in self._parts else 0.0

    def _denoising_floats(self) -> float:
        length = self._parts["tokenizer"].model_max_length + self.LENGTH
        rows = self._rows(self.descriptor.options)
        return memory.joint(self.denoiser.config, self.descriptor.latent_shape, length, rows)


class Flux(PromptPipeline):
    """FLUX.1 (Black Forest Labs, 2024). Its guidance is an input of the network where that was trained with it (dev);
    without (schnell), guidance above 1 and negative prompts take a second call of the network."""

    PIPELINE = "FluxPipeline"
    ARCHITECTURE = "Flux"
    CLASSES = {
        "tokenizer": CLIP,
        "text_encoder": ("CLIPTextModel",),
        "tokenizer_2": T5,
        "text_encoder_2": ("T5EncoderModel",),
        "transformer": ("FluxTransformer2DModel",),
        "vae": ("AutoencoderKL",),
        "scheduler": FLOW,
    }
    STEPS = 28
    GUIDANCE = 3.5
    READER = "text_encoder_2"
    LENGTH = 512

    @property
    def _distilled(self) -> bool:
        return bool(self.denoiser.config.guidance_embeds)

    def _takes_negative(self) -> bool:
        return not self._distilled

    def _steps(self) -> int:
        return self.STEPS if self._distilled else SCHNELL_STEPS

    def _guidance(self) -> float:
        return self.GUIDANCE if self._distilled else 1.0

    def _rows(self, options: Mapping[str, Any]) -> int:
        return 1 if self._distilled else super()._rows(options)

    def _latent_shape(self) -> tuple[int, int, int]:
        return self.denoiser.config.in_channels // 4, FLUX_CELLS, FLUX_CELLS

    def _denoising_floats(self) -> float:
        channels, height, width = self.descriptor.latent_shape
        packed = (4 * channels, height // 2, width // 2)
        return memory.joint(self.denoiser.config, packed, self.LENGTH, 1, memory.ONE_STREAM)

    def _guidance_arguments(self, requests: Sequence[SampleRequest], options: Mapping[str, Any]) -> dict[str, Any]:
        if self._distilled:
            return {"guidance_scale": options["guidance_scale"], "max_sequence_length": self.LENGTH}
        return {
            "true_cfg_scale": options["guidance_scale"],
            "negative_prompt": [request.condition.negative for request in requests],
            "max_sequence_length": SCHNELL_LENGTH,
        }

    def _packed(self, latents: torch.Tensor, pipeline: Any) -> torch.Tensor:
        return pipeline._pack_latents(latents, *latents.shape)

    def _unpacked(self, latents: torch.Tensor, pipeline: Any) -> torch.Tensor:
        size = self.descriptor.height, self.descriptor.width
        return pipeline._unpack_latents(latents, *size, pipeline.vae_scale_factor)


class CogView4(PromptPipeline):
    """CogView4 (Z.ai, 2025): prompts of any length, read by GLM."""

    PIPELINE = "CogView4Pipeline"
    ARCHITECTURE = "CogView4"
    CLASSES = {
        "tokenizer": GLM,
        "text_encoder": ("GlmModel",),
        "transformer": ("CogView4Transformer2DModel",),
        "vae": ("AutoencoderKL",),
        "scheduler": FLOW,
    }
    STEPS = 50
    GUIDANCE = 5.0
    LENGTH = GLM_BLOCK
    """At the least: longer ones take little beside the picture."""

    def __init__(self, parts: Mapping[str, Any]) -> None:
        super().__init__(parts)
        # What fills a batch's prompts up stands before them, as what fills them up to a block does.
        parts["tokenizer"].padding_side = "left"

    def _latent_dtype(self) -> torch.dtype:
        return torch.float32

    def _encoding_floats(self, batch_size: int) -> float:
        return memory.glm(self._parts[self.READER].config, self.LENGTH, batch_size)

    def _denoising_floats(self) -> float:
        return memory.joint(self.denoiser.config, self.descriptor.latent_shape, self.LENGTH, 1)

    def _alike(self, request: SampleRequest) -> Any:
        """Prompts of as many blocks: the network is not told what fills up the shorter ones."""
        tokenizer, condition = self._parts["tokenizer"], request.condition
        lengths = [len(tokenizer(text).input_ids) for text in (condition.text, condition.negative)]
        return -(-lengths[0] // GLM_BLOCK), -(-lengths[1] // GLM_BLOCK)
