"""Pictures from prompts by diffusers' own pipelines: a closed table of them, offline, strict, and never running code.

The pipeline's own call takes the steps, so that whatever it does between text and latents is what it was published
with; around it stand our loader, our seeds, and our autoencoder's one picture at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Final

import torch

from ...diffusion.autoencoders import PREVIEW_CELLS
from ...diffusion.folders import Classes
from ...errors import BadCheckpoint, CannotDo
from ...steps import OnStep, quiet, within
from ...weights import identity_of
from .. import noise
from ..base import Condition, Descriptor, Generator, Latents, SampleRequest
from ..interpolation import spherical
from . import pipeline_memory as memory
from .base import LONG
from .pipeline_parts import T5

PREVIEWS: Final = 10
"""At most so many of a run."""

T5_ENCODER: Final[Classes] = {"tokenizer": T5, "text_encoder": ("T5EncoderModel",)}
FLOW: Final = ("FlowMatchEulerDiscreteScheduler",)
ONE_CALL: Final = (
    "DPMSolverMultistepScheduler",
    "DDPMScheduler",
    "DDIMScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
)
"""Schedulers that ask the network once in each step."""


class PromptPipeline(Generator):
    """A pipeline of diffusers that draws from prompts. Latents "z" are its initial noise.

    parts: by their names in the folder, see `pipeline_parts.read_parts`. Options are `steps` and, where the model has
    any, `guidance_scale`.
    """

    PIPELINE: ClassVar[str]
    ARCHITECTURE: ClassVar[str]
    CLASSES: ClassVar[Classes]
    OPTIONAL: ClassVar[Sequence[str]] = ()
    STEPS: ClassVar[int]
    GUIDANCE: ClassVar[float]
    DENOISER: ClassVar[str] = "transformer"
    AUTOENCODER: ClassVar[str] = "vae"
    READER: ClassVar[str] = "text_encoder"
    """The largest of its text encoders."""
    FIXED: ClassVar[Mapping[str, Any]] = {}
    """Further arguments of every call, and of making the pipeline those under MADE."""
    MADE: ClassVar[Mapping[str, Any]] = {}
    PREPARED: ClassVar[bool] = True
    """Whether the call takes latents."""
    OUTPUT: ClassVar[str] = "latent"
    """The `output_type` that leaves the last latents as they are."""
    LENGTH: ClassVar[int]
    """Tokens of a prompt, filled up."""
    MASKED: ClassVar[bool] = False
    """Whether what fills it up is told to the text encoder."""

    def __init__(self, parts: Mapping[str, Any]) -> None:
        self._parts = parts
        self.modules = tuple(part for part in parts.values() if isinstance(part, torch.nn.Module))
        self._identity: str | None = None
        shape = self._latent_shape()
        side = shape[1] * self._scale(), shape[2] * self._scale()
        options: dict[str, Any] = {"steps": self._steps()}
        guidance = self._guidance()
        if guidance is not None:
            options["guidance_scale"] = guidance
        self.descriptor = Descriptor(
            family="diffusion",
            architecture=self.ARCHITECTURE,
            height=side[0],
            width=side[1],
            channels=3,
            parameters=sum(value.numel() for network in self.modules for value in network.parameters()),
            conditions=("none", "prompt"),
            latent_shape=shape,
            options=options,
            abilities=("sample", "decode", "interpolate") if self.PREPARED else ("sample",),
        )

    @property
    def identity(self) -> str:
        """See `Generator`; of billions of weights it takes a while, so it is found when it is first asked for."""
        if self._identity is None:
            self._identity = identity_of(self.modules)
        return self._identity

    @property
    def denoiser(self) -> Any:
        """The network that takes the steps."""
        return self._parts[self.DENOISER]

    def _takes_negative(self) -> bool:
        return True

    def _steps(self) -> int:
        return self.STEPS

    def _guidance(self) -> float | None:
        """The model's own; None where it has none."""
        return self.GUIDANCE

    def _scale(self) -> int:
        """Pixels to a latent cell, along a side."""
        return 2 ** (len(self._parts[self.AUTOENCODER].config.block_out_channels) - 1)

    def _latent_shape(self) -> tuple[int, int, int]:
        config = self.denoiser.config
        sides = config.sample_size if isinstance(config.sample_size, (list, tuple)) else [config.sample_size] * 2
        if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
            raise BadCheckpoint(
                f"model: {self.DENOISER}/config.json does not tell sample_size; download the folder again."
            )
        return config.in_channels, sides[0], sides[1]

    def check_condition(self, condition: Condition) -> None:
        super().check_condition(condition)
        if condition.negative and not self._takes_negative():
            raise CannotDo(f"negative_prompt: {self.ARCHITECTURE} was trained without; leave it empty.")

    def draw(self, requests: Sequence[SampleRequest], options: Mapping[str, Any], on_step: OnStep) -> torch.Tensor:
        return self._run(requests, options, on_step)

    def latents(self, requests: Sequence[SampleRequest], options: Mapping[str, Any]) -> Latents:
        return Latents(noise.normal(noise.generators(requests), self.descriptor.latent_shape), "z", self.identity)

    def decode(
        self,
        latents: Latents,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        on_step: OnStep = quiet,
    ) -> torch.Tensor:
        return self._run(requests, options, on_step, latents.values)

    def interpolate(self, start: Latents, end: Latents, shares: Sequence[float]) -> Latents:
        return start._replace(values=spherical(start.values, end.values, shares))

    def mean_latent(self) -> Latents:
        return Latents(torch.zeros(1, *self.descriptor.latent_shape), "z", self.identity)

    def evaluations(self, options: Mapping[str, Any]) -> int:
        return options["steps"] * self._rows(options)

    def _rows(self, options: Mapping[str, Any]) -> int:
        """How often the network evaluates each sample in a step."""
        return 2 if options.get("guidance_scale", 1.0) > 1 else 1

    def memory_bytes(self, batch_size: int) -> int:
        floats = max(self._encoding_floats(batch_size), batch_size * self._denoising_floats())
        return int(max(floats * self.denoiser.dtype.itemsize, self._decoding_bytes(batch_size)))

    def _encoding_floats(self, batch_size: int) -> float:
        """Of a batch's texts while they are read."""
        rows = self._rows(self.descriptor.options)
        return memory.t5(self._parts[self.READER].config, self.LENGTH, rows, batch_size, self.MASKED)

    def _denoising_floats(self) -> float:
        """Of a sample in a step."""
        raise NotImplementedError

    def _decoding_bytes(self, batch_size: int) -> float:
        return memory.decoding(self._parts[self.AUTOENCODER], self.descriptor, batch_size)

    def _run(
        self,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        on_step: OnStep,
        initial: torch.Tensor | None = None,
    ) -> torch.Tensor:
        generators = noise.generators(requests)
        latents = None
        if self.PREPARED:
            drawn = noise.normal(generators, self.descriptor.latent_shape)
            latents = drawn if initial is None else initial
        asks = self.modules if self.descriptor.parameters >= LONG else ()
        alike: dict[Any, list[int]] = {}
        for place, request in enumerate(requests):
            alike.setdefault(self._alike(request), []).append(place)
        evaluations, total = self.evaluations(options), self._calls(options) * len(alike)
        every, calls = max(1, -(-total // PREVIEWS)), 0

        def done() -> int:
            return evaluations * min(calls, total) // total

        def after(shown: torch.Tensor | None) -> None:
            nonlocal calls
            calls += 1
            wanted = shown is not None and (calls % every == 0 or calls == total)
            on_step(done(), self._preview(shown[:1]) if wanted and shown is not None else None)

        drawn = [torch.empty(0)] * len(requests)
        with within(asks, lambda: on_step(done())), _silent():
            for places in alike.values():
                own = None if latents is None else latents[places]
                asked, chosen = [requests[place] for place in places], [generators[place] for place in places]
                for place, one in zip(places, self._call(asked, options, chosen, own, after), strict=True):
                    drawn[place] = one
            pictures = self._pictures(torch.stack(drawn))
        return pictures.clamp(0, 1).movedim(1, -1).cpu().contiguous()

    def _alike(self, request: SampleRequest) -> Any:
        """The same for requests that one call can take."""
        return None

    def _calls(self, options: Mapping[str, Any]) -> int:
        """How often a call reports."""
        return options["steps"]

    def _call(
        self,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        generators: list[torch.Generator],
        latents: torch.Tensor | None,
        after: Callable[[torch.Tensor | None], None],
    ) -> torch.Tensor:
        """The last latents, float [N, C, h, w], of requests that are `_alike`. after: to be called with the latents of
        each step."""
        pipeline = self._pipeline()
        given: dict[str, Any] = {
            "prompt": [request.condition.text for request in requests],
            "num_inference_steps": options["steps"],
            "generator": generators,
            **self._size(),
            **self._guidance_arguments(requests, options),
            **self.FIXED,
        }
        if latents is not None:
            device = self.denoiser.device
            given["latents"] = self._packed(latents.to(device, self._latent_dtype()), pipeline)
        return self._unpacked(
            pipeline(output_type=self.OUTPUT, **given, **self._reports(after, pipeline)).images, pipeline
        )

    def _latent_dtype(self) -> torch.dtype:
        return self.denoiser.dtype

    def _size(self) -> dict[str, int]:
        return {"height": self.descriptor.height, "width": self.descriptor.width}

    def _guidance_arguments(self, requests: Sequence[SampleRequest], options: Mapping[str, Any]) -> dict[str, Any]:
        negatives = [request.condition.negative for request in requests]
        return {"guidance_scale": options["guidance_scale"], "negative_prompt": negatives}

    def _pipeline(self) -> Any:
        """A pipeline of this run alone: schedulers count steps."""
        import diffusers

        parts = {name: anew(part) if "scheduler" in name else part for name, part in self._parts.items()}
        made = getattr(diffusers, self.PIPELINE)(**{**dict.fromkeys(self.OPTIONAL), **parts, **self.MADE})
        made.set_progress_bar_config(disable=True)
        return made

    def _reports(self, after: Callable[[torch.Tensor | None], None], pipeline: Any) -> dict[str, Any]:
        """The arguments that have a pipeline call `after`."""

        def ended(made: Any, step: int, time: Any, values: dict[str, Any]) -> dict[str, Any]:
            after(self._unpacked(values["latents"], pipeline))
            return values

        return {"callback_on_step_end": ended}

    def _packed(self, latents: torch.Tensor, pipeline: Any) -> torch.Tensor:
        """Latents [N, C, h, w] as the call takes them."""
        return latents

    def _unpacked(self, latents: torch.Tensor, pipeline: Any) -> torch.Tensor:
        """The opposite."""
        return latents

    def _pictures(self, latents: torch.Tensor) -> torch.Tensor:
        """float32 [N, 3, H, W], about 0..1, one at a time: a VAE at full resolution needs more than the denoiser."""
        vae = self._parts[self.AUTOENCODER]
        scaled = latents / vae.config.scaling_factor + (vae.config.shift_factor or 0.0)
        pictures = [vae.decode(one[None].to(vae.dtype)).sample.float() for one in scaled]
        return torch.cat(pictures) / 2 + 0.5

    def _preview(self, latents: torch.Tensor) -> torch.Tensor:
        """A small picture [h, w, 3] of latents [1, C, h, w], with what noise they have."""
        ratio = PREVIEW_CELLS / max(latents.shape[2:])
        if ratio < 1:
            size = [max(1, round(side * ratio)) for side in latents.shape[2:]]
            latents = torch.nn.functional.interpolate(latents.float(), size=size, mode="area")
        return self._pictures(latents)[0].clamp(0, 1).movedim(0, -1).cpu()


class WithOlderCallback(PromptPipeline):
    """Pipelines that report by `callback`, from before `callback_on_step_end`."""

    def _reports(self, after: Callable[[torch.Tensor | None], None], pipeline: Any) -> dict[str, Any]:
        return {"callback": lambda step, time, latents: after(self._unpacked(latents, pipeline)), "callback_steps": 1}


def anew(scheduler: Any) -> Any:
    """A scheduler of the same settings that has taken no step."""
    return type(scheduler).from_config(scheduler.config)


@contextmanager
def _silent() -> Iterator[None]:
    """Without diffusers' warnings of prompts that are cut off and of pipelines that it no longer develops."""
    from diffusers.utils import logging as diffusers_logging

    before = diffusers_logging.get_verbosity()
    diffusers_logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        diffusers_logging.set_verbosity(before)
