"""unCLIP and Kandinsky 2.2: a prior makes of a prompt what CLIP sees in its picture, a decoder draws that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar, Final

import torch
from torch import nn

from ...errors import CannotDo
from ..base import Condition, SampleRequest
from . import pipeline_memory as memory
from .pipeline_parts import CLIP
from .prompt_pipelines import FLOW, ONE_CALL, PromptPipeline, anew

PREFIX: Final = "prior_"
"""Before the names of the prior's parts where they stand beside the decoder's."""
PRIOR_STEPS: Final = 25
ENLARGING_STEPS: Final = 7
CLIP_MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
CLIP_DEVIATION: Final = (0.26862954, 0.26130258, 0.27577711)


class UnCLIP(PromptPipeline):
    """Karlo (Lee et al., 2022), trained after DALL-E 2 (Ramesh et al., 2022, arXiv 2204.06125). `steps` and
    `guidance_scale` are the decoder's; the prior takes 25, guided by 4, and enlarging takes 7, unguided."""

    PIPELINE = "UnCLIPPipeline"
    ARCHITECTURE = "unCLIP"
    CLASSES = {
        "tokenizer": CLIP,
        "text_encoder": ("CLIPTextModelWithProjection",),
        "prior": ("PriorTransformer",),
        "text_proj": ("UnCLIPTextProjModel",),
        "decoder": ("UNet2DConditionModel",),
        "super_res_first": ("UNet2DModel",),
        "super_res_last": ("UNet2DModel",),
        "prior_scheduler": ("UnCLIPScheduler",),
        "decoder_scheduler": ("UnCLIPScheduler",),
        "super_res_scheduler": ("UnCLIPScheduler",),
    }
    STEPS = 25
    GUIDANCE = 8.0
    DENOISER = "decoder"
    PREPARED = False
    OUTPUT = "np"
    ASKED: ClassVar = ("prior", "decoder", "super_res_first", "super_res_last")

    def __init__(self, parts: Mapping[str, Any]) -> None:
        super().__init__(parts)
        side = parts["super_res_first"].config.sample_size
        self.descriptor = replace(self.descriptor, height=side, width=side)

    def _takes_negative(self) -> bool:
        return False

    def _scale(self) -> int:
        return 1

    def _calls(self, options: Mapping[str, Any]) -> int:
        return PRIOR_STEPS + options["steps"] + ENLARGING_STEPS

    def _rows(self, options: Mapping[str, Any]) -> int:
        return 2  # the prior is guided, and takes the decoder along

    def evaluations(self, options: Mapping[str, Any]) -> int:
        return 2 * (PRIOR_STEPS + options["steps"]) + ENLARGING_STEPS

    def _encoding_floats(self, batch_size: int) -> float:
        return batch_size * memory.prior(self._parts["prior"].config, 2)

    def _denoising_floats(self) -> float:
        small = memory.unet(self.denoiser.config, self.descriptor.latent_shape, 2)
        large = (3, self.descriptor.height, self.descriptor.width)
        return max(small, memory.unet(self._parts["super_res_first"].config, large, 1))

    def _decoding_bytes(self, batch_size: int) -> float:
        return 0.0

    def _call(
        self,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        generators: list[torch.Generator],
        latents: torch.Tensor | None,
        after: Callable[[torch.Tensor | None], None],
    ) -> torch.Tensor:
        with _told([self._parts[part] for part in self.ASKED], lambda: after(None)):
            pictures = self._pipeline()(
                prompt=[request.condition.text for request in requests],
                generator=generators,
                prior_num_inference_steps=PRIOR_STEPS,
                decoder_num_inference_steps=options["steps"],
                super_res_num_inference_steps=ENLARGING_STEPS,
                decoder_guidance_scale=options["guidance_scale"],
                output_type=self.OUTPUT,
            ).images
        return torch.from_numpy(pictures).movedim(-1, 1)

    def _pictures(self, latents: torch.Tensor) -> torch.Tensor:
        return latents


@contextmanager
def _told(networks: Sequence[nn.Module], ended: Callable[[], None]) -> Iterator[None]:
    """Calls `ended` after each call of these networks: for a pipeline without callbacks."""

    def listen(*_: Any) -> None:
        ended()

    hooks = [network.register_forward_hook(listen) for network in networks]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


class Kandinsky(PromptPipeline):
    """Kandinsky 2.2 (Razzhigaev et al., 2023, arXiv 2310.03502), its decoder with the prior's folder beside it.
    `steps` and `guidance_scale` are the decoder's; the prior takes 25 steps, guided by 4. An image stands for what
    CLIP sees in it; of a prompt and an image the mean is drawn."""

    PIPELINE = "KandinskyV22Pipeline"
    ARCHITECTURE = "Kandinsky 2.2"
    CLASSES = {
        "unet": ("UNet2DConditionModel",),
        "movq": ("VQModel",),
        "scheduler": (*ONE_CALL, *FLOW),
    }
    PRIOR_CLASSES: ClassVar = {
        "tokenizer": CLIP,
        "text_encoder": ("CLIPTextModelWithProjection",),
        "image_encoder": ("CLIPVisionModelWithProjection",),
        "prior": ("PriorTransformer",),
        "scheduler": ("UnCLIPScheduler",),
    }
    STEPS = 100
    GUIDANCE = 4.0
    DENOISER = "unet"
    AUTOENCODER = "movq"
    PREPARED = False

    def __init__(self, parts: Mapping[str, Any]) -> None:
        super().__init__(parts)
        self.descriptor = replace(self.descriptor, conditions=("none", "prompt", "image"))

    def check_condition(self, condition: Condition) -> None:
        super().check_condition(condition)
        if condition.images and condition.negative:
            raise CannotDo("negative_prompt: Kandinsky 2.2 takes none beside an image; leave it empty.")

    def _calls(self, options: Mapping[str, Any]) -> int:
        return PRIOR_STEPS + options["steps"]

    def evaluations(self, options: Mapping[str, Any]) -> int:
        return 2 * PRIOR_STEPS + options["steps"] * self._rows(options)

    def _alike(self, request: SampleRequest) -> Any:
        condition = request.condition
        return bool(condition.negative), bool(condition.images), bool(condition.text)

    def _encoding_floats(self, batch_size: int) -> float:
        return batch_size * memory.prior(self._prior["prior"].config, 2)

    def _denoising_floats(self) -> float:
        return memory.unet(self.denoiser.config, self.descriptor.latent_shape, self._rows(self.descriptor.options))

    @property
    def _prior(self) -> dict[str, Any]:
        """The prior's parts, under the names that its own folder has for them."""
        return {name.removeprefix(PREFIX): part for name, part in self._parts.items() if name.startswith(PREFIX)}

    def _pipeline(self) -> Any:
        import diffusers

        named = {name: part for name, part in self._parts.items() if not name.startswith(PREFIX)}
        made = diffusers.KandinskyV22Pipeline(**{**named, "scheduler": anew(named["scheduler"])})
        made.set_progress_bar_config(disable=True)
        return made

    def _call(
        self,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        generators: list[torch.Generator],
        latents: torch.Tensor | None,
        after: Callable[[torch.Tensor | None], None],
    ) -> torch.Tensor:
        embedded, negative = self._embedded(requests, generators, after)
        pipeline = self._pipeline()
        return pipeline(
            image_embeds=embedded,
            negative_image_embeds=negative,
            generator=generators,
            num_inference_steps=options["steps"],
            guidance_scale=options["guidance_scale"],
            output_type=self.OUTPUT,
            **self._size(),
            **self._reports(after, pipeline),
        ).images

    def _embedded(
        self,
        requests: Sequence[SampleRequest],
        generators: list[torch.Generator],
        after: Callable[[torch.Tensor | None], None],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What CLIP would see in the pictures of requests that are `_alike`, and what it shall not, each [N, D]."""
        import diffusers

        parts, first = self._prior, requests[0].condition
        parts["scheduler"] = anew(parts["scheduler"])
        prior = diffusers.KandinskyV22PriorPipeline(**parts, image_processor=None)
        prior.set_progress_bar_config(disable=True)
        seen = None
        if first.images:
            seen = torch.cat([self._seen(request.condition.images[0].values) for request in requests])
            if not first.text:
                for _ in range(PRIOR_STEPS):
                    after(None)  # steps that it does without
                return seen, prior.get_zero_embed(len(requests), device=seen.device)

        def ended(made: Any, step: int, time: Any, values: dict[str, Any]) -> dict[str, Any]:
            after(None)
            return values

        negatives = [request.condition.negative for request in requests]
        embedded, negative = prior(
            prompt=[request.condition.text for request in requests],
            negative_prompt=negatives if first.negative else None,
            # Those of negative prompts draw behind the samples'.
            generator=generators * 2 if first.negative else generators,
            num_inference_steps=PRIOR_STEPS,
            callback_on_step_end=ended,
        ).to_tuple()
        return (embedded if seen is None else (embedded + seen) / 2), negative

    def _seen(self, image: torch.Tensor) -> torch.Tensor:
        """What CLIP sees, [1, D], in an image [H, W, 3], 0..1: its middle, at CLIP's size."""
        encoder = self._prior["image_encoder"]
        side = encoder.config.image_size
        pixels = image.movedim(-1, 0)[None].to(encoder.device)
        height, width = pixels.shape[2:]
        if (height, width) != (side, side):
            scale = side / min(height, width)
            size = [max(side, round(height * scale)), max(side, round(width * scale))]
            pixels = nn.functional.interpolate(pixels, size=size, mode="bicubic", antialias=True).clamp(0, 1)
            top, left = (size[0] - side) // 2, (size[1] - side) // 2
            pixels = pixels[:, :, top : top + side, left : left + side]
        mean, deviation = (
            torch.tensor(each, device=pixels.device)[:, None, None] for each in (CLIP_MEAN, CLIP_DEVIATION)
        )
        return encoder(((pixels - mean) / deviation).to(encoder.dtype)).image_embeds

    def _pictures(self, latents: torch.Tensor) -> torch.Tensor:
        movq = self._parts[self.AUTOENCODER]
        pictures = [movq.decode(one.to(movq.dtype), force_not_quantize=True).sample.float() for one in latents.split(1)]
        return torch.cat(pictures) / 2 + 0.5


class KandinskyCombined(Kandinsky):
    """The same in one folder, decoder and prior."""

    PIPELINE = "KandinskyV22CombinedPipeline"
    CLASSES = {**Kandinsky.CLASSES, **{f"{PREFIX}{name}": named for name, named in Kandinsky.PRIOR_CLASSES.items()}}
