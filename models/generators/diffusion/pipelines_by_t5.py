"""PixArt, CogView3-Plus and DeepFloyd IF: pipelines whose prompts T5 reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch

from ..base import SampleRequest
from . import pipeline_memory as memory
from .prompt_pipelines import ONE_CALL, T5_ENCODER, PromptPipeline, WithOlderCallback


class PixArtAlpha(WithOlderCallback):
    """PixArt-alpha (Chen et al., 2023, arXiv 2310.00426)."""

    PIPELINE = "PixArtAlphaPipeline"
    ARCHITECTURE = "PixArt-alpha"
    CLASSES = {
        **T5_ENCODER,
        "transformer": ("PixArtTransformer2DModel", "Transformer2DModel"),
        "vae": ("AutoencoderKL",),
        "scheduler": ONE_CALL,
    }
    STEPS = 20
    GUIDANCE = 4.5
    LENGTH = 120
    MASKED = True
    # Cleaning captions takes libraries that are not there everywhere; other sizes than its own are not drawn.
    FIXED: ClassVar[Mapping[str, Any]] = {"clean_caption": False, "use_resolution_binning": False}

    def _denoising_floats(self) -> float:
        rows = self._rows(self.descriptor.options)
        return memory.cross_attending(self.denoiser.config, self.descriptor.latent_shape, self.LENGTH, rows)


class PixArtSigma(PixArtAlpha):
    """PixArt-sigma (Chen et al., 2024, arXiv 2403.04692)."""

    PIPELINE = "PixArtSigmaPipeline"
    ARCHITECTURE = "PixArt-sigma"
    LENGTH = 300


class CogView3Plus(PromptPipeline):
    """CogView3-Plus (Zheng et al., 2024, arXiv 2403.05121)."""

    PIPELINE = "CogView3PlusPipeline"
    ARCHITECTURE = "CogView3-Plus"
    CLASSES = {
        **T5_ENCODER,
        "transformer": ("CogView3PlusTransformer2DModel",),
        "vae": ("AutoencoderKL",),
        "scheduler": ("CogVideoXDDIMScheduler", "CogVideoXDPMScheduler"),
    }
    STEPS = 50
    GUIDANCE = 5.0
    LENGTH = 224

    def _alike(self, request: SampleRequest) -> Any:
        return bool(request.condition.negative)

    def _guidance_arguments(self, requests: Sequence[SampleRequest], options: Mapping[str, Any]) -> dict[str, Any]:
        """Without a negative prompt nothing stands in its place, not the text "" of no words."""
        given = super()._guidance_arguments(requests, options)
        return given if requests[0].condition.negative else {**given, "negative_prompt": None}

    def _denoising_floats(self) -> float:
        rows = self._rows(self.descriptor.options)
        return memory.joint(self.denoiser.config, self.descriptor.latent_shape, self.LENGTH, rows)


class DeepFloydIF(WithOlderCallback):
    """DeepFloyd IF's first stage, pixels from noise; after Imagen (Saharia et al., 2022, arXiv 2205.11487)."""

    PIPELINE = "IFPipeline"
    ARCHITECTURE = "DeepFloyd IF"
    CLASSES = {**T5_ENCODER, "unet": ("UNet2DConditionModel",), "scheduler": ("DDPMScheduler",)}
    STEPS = 100
    GUIDANCE = 7.0
    DENOISER = "unet"
    LENGTH = 77
    MASKED = True
    PREPARED = False
    OUTPUT = "pt"
    FIXED: ClassVar[Mapping[str, Any]] = {"clean_caption": False}
    MADE: ClassVar[Mapping[str, Any]] = {
        "safety_checker": None,
        "feature_extractor": None,
        "watermarker": None,
        "requires_safety_checker": False,
    }

    def _scale(self) -> int:
        return 1

    def _denoising_floats(self) -> float:
        rows = self._rows(self.descriptor.options)
        return memory.unet(self.denoiser.config, self.descriptor.latent_shape, rows)

    def _decoding_bytes(self, batch_size: int) -> float:
        return 0.0

    def _pictures(self, latents: torch.Tensor) -> torch.Tensor:
        return latents.float() / 2 + 0.5
