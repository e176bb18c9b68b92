"""aMUSEd (Patil et al., 2024, arXiv 2401.01808): codes of a VQ-VAE unmasked in a dozen steps, after MUSE."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from ..base import Latents, SampleRequest
from . import pipeline_memory as memory
from .pipeline_parts import CLIP
from .prompt_pipelines import WithOlderCallback


class Amused(WithOlderCallback):
    """All codes are masked at first; what is random is which are drawn and which of them stay."""

    PIPELINE = "AmusedPipeline"
    ARCHITECTURE = "aMUSEd"
    CLASSES = {
        "tokenizer": CLIP,
        "text_encoder": ("CLIPTextModelWithProjection",),
        "transformer": ("UVit2DModel",),
        "vqvae": ("VQModel",),
        "scheduler": ("AmusedScheduler",),
    }
    STEPS = 12
    GUIDANCE = 10.0
    AUTOENCODER = "vqvae"
    PREPARED = False

    def _latent_shape(self) -> tuple[int, int, int]:
        _, height, width = super()._latent_shape()
        return 1, height, width

    def latents(self, requests: Sequence[SampleRequest], options: Mapping[str, Any]) -> Latents:
        mask = float(self._parts["scheduler"].config.mask_token_id)
        return Latents(torch.full((len(requests), *self.descriptor.latent_shape), mask), "z", self.identity)

    def _encoding_floats(self, batch_size: int) -> float:
        return 0.0  # CLIP takes less than a step

    def _denoising_floats(self) -> float:
        return memory.codes(self.denoiser.config, self._rows(self.descriptor.options))

    def _pipeline(self) -> Any:
        made = super()._pipeline()
        own = made.scheduler.step

        def by_sample(
            model_output: torch.Tensor, timestep: Any, sample: torch.Tensor, generator: list[torch.Generator]
        ) -> Any:
            """The scheduler's step, which takes one generator for all, for each sample with its own."""
            each = zip(model_output.split(1), sample.split(1), generator, strict=True)
            steps = [own(output, timestep, codes, generator=one) for output, codes, one in each]
            return type(steps[0])(torch.cat([step.prev_sample for step in steps]))

        made.scheduler.step = by_sample
        return made

    def _reports(self, after: Callable[[torch.Tensor | None], None], pipeline: Any) -> dict[str, Any]:
        # Codes that are masked have no picture.
        return {"callback": lambda step, time, codes: after(None), "callback_steps": 1}

    def _pictures(self, latents: torch.Tensor) -> torch.Tensor:
        """Of codes, int64 [N, h, w]."""
        vqvae = self._parts[self.AUTOENCODER]
        shape = (1, *latents.shape[1:], vqvae.config.latent_channels)
        pictures = [vqvae.decode(codes, force_not_quantize=True, shape=shape).sample for codes in latents.split(1)]
        return torch.cat(pictures).float()
