"""What all diffusion generators share: from requests to noise, through the sampler, to pictures."""

from __future__ import annotations

import copy
import hashlib
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

import torch

from ...diffusion import samplers, sampling
from ...diffusion.samplers import DETERMINISTIC
from ...diffusion.sampling import Predict
from ...errors import BadInput, CannotDo
from ...steps import OnStep, quiet, within
from ...weights import identity_of
from .. import noise
from ..base import Generator, Latents, SampleRequest
from ..interpolation import spherical
from . import guides
from .guides import Guide

SCALE: Final = "classifier_scale"
LONG: Final = 50_000_000
"""Parameters from which on a step can take so long that it asks within whether it is to stop."""


class DiffusionGenerator(Generator):
    """A denoising network with its noise schedule. Latents "z" are its initial noise.

    scheduler_config: the model's own scheduler as diffusers writes it, its class under `_class_name`.
    """

    scheduler_config: Mapping[str, Any]
    space: ClassVar = "z"
    pixels: ClassVar[bool] = False
    """Whether what it denoises are pictures, which a guide can look at."""

    _identity: str | None = None
    _guide: Guide | None = None
    _plain: DiffusionGenerator | None = None
    """Itself without its guide."""
    _places: torch.Tensor | None = None
    """See `guides.places_of`."""

    @property
    def identity(self) -> str:
        """See `Generator`; of billions of weights it takes a while, so it is found when it is first asked for."""
        if self._identity is None and self._plain is not None and self._guide is not None:
            both = self._plain.identity + self._guide.identity
            self._identity = hashlib.sha256(both.encode()).hexdigest()
        if self._identity is None:
            self._identity = identity_of(self.modules)
        return self._identity

    def with_guide(self, guide: Guide, scale: float) -> DiffusionGenerator:
        """The same model, steered. Without classes of its own it takes the guide's.

        Raises:
            CannotDo: it denoises no pictures by itself, or is steered already.
            BadInput: the guide looks at pictures of another size, or does not know the classes.
        """
        descriptor = self.descriptor
        if not self.pixels:
            raise CannotDo(
                f"generator: {descriptor.architecture} denoises no pixels, which a classifier looks at; load a DDPM or "
                "a guided diffusion model."
            )
        if self._guide is not None:
            raise CannotDo(f"generator: it is steered by {self._guide.name} already; take one Classifier Guidance.")
        if guide.side and (guide.side, guide.side, 3) != (descriptor.height, descriptor.width, descriptor.channels):
            raise BadInput(
                f"model: {guide.name} looks at coloured pictures of {guide.side} pixels, the generator "
                f"draws {descriptor.width} x {descriptor.height} of {descriptor.channels} channels; take one for these."
            )
        made = copy.copy(self)
        made._guide, made._plain, made._identity = guide, self, None
        made.modules = (*self.modules, *guide.modules)
        made.files, made.notes = (*self.files, *guide.files), (*self.notes, f"steered by {guide.name}")
        classes, names = descriptor.num_classes, descriptor.class_names
        made._places = guides.places_of(guide, names, classes) if classes else torch.arange(guide.num_classes)
        made.descriptor = replace(
            descriptor,
            parameters=descriptor.parameters + sum(each.numel() for net in guide.modules for each in net.parameters()),
            conditions=("none", "class"),
            num_classes=classes or guide.num_classes,
            class_names=names if classes else guide.class_names,
            options={**descriptor.options, SCALE: scale},
        )
        return made

    def _steered_bytes(self, own: int, batch_size: int) -> int:
        """Activation memory of a batch that takes so much without a guide."""
        if self._guide is None:
            return own
        return max(own, self._guide.memory_bytes(batch_size))

    def _steered(self, predict: Predict, schedule: samplers.Schedule, labels: torch.Tensor, scale: float) -> Predict:
        """The network as the guide has it; see `samplers.moved`. labels: of the samples."""
        scheduler, guide = schedule.scheduler, self._guide
        assert guide is not None and self._places is not None
        asked = self._places[labels.cpu()]
        told_by = guides.TRAINED / scheduler.config.num_train_timesteps

        def steered(latents: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
            told = (time * told_by).reshape(1)
            risen = guides.gradient(guide, latents, told, asked)
            return samplers.moved(scheduler, predict(latents, time), time, -scale * risen)

        return steered

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Of one latent, without the batch."""
        assert self.descriptor.latent_shape is not None
        return self.descriptor.latent_shape

    @abstractmethod
    def _condition(self, requests: Sequence[SampleRequest], generators: Sequence[torch.Generator]) -> Any:
        """What the samples show, once per batch; drawn before the noise where it is left to the model."""

    @abstractmethod
    def _network(self, condition: Any, generators: Sequence[torch.Generator], guided: bool, calls: int) -> Predict:
        """The network with the condition; where `guided`, for twice as many samples, the first half of them without,
        or with the negative one. calls: how often it will be asked."""

    def _fitted(self, predict: Predict, schedule: samplers.Schedule) -> Predict:
        """The network as this schedule's steps take its output."""
        return predict

    def _guided_by(self, predict: Predict, scale: float) -> Predict:
        """The network of N samples by that of 2 N, see `_network`."""
        return sampling.guided(predict, scale)

    @abstractmethod
    def _rendered(self, latents: torch.Tensor) -> torch.Tensor:
        """float32 [N, channels, H, W], about 0..1, of latents float32 [N, C, h, w], with derivatives."""

    def _pictures(self, latents: torch.Tensor) -> torch.Tensor:
        """float32 [N, H, W, 3], 0..1, of latents float32 [N, C, h, w]."""
        return self._rendered(latents).clamp(0, 1).movedim(1, -1).expand(-1, -1, -1, 3).contiguous()

    def _preview(self, latents: torch.Tensor) -> torch.Tensor:
        """A small picture [H, W, 3] of latents [1, C, h, w]."""
        return self._pictures(latents)[0]

    def draw(self, requests: Sequence[SampleRequest], options: Mapping[str, Any], on_step: OnStep) -> torch.Tensor:
        return self._run(requests, options, on_step)

    def draw_steered(
        self,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        on_step: OnStep,
        losses: Callable[[torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        """As `draw`, each step against the losses, [N], of what it foresees: pictures [N, C, H, W], about 0..1."""
        return self._run(requests, options, on_step, losses=losses)

    def latents(self, requests: Sequence[SampleRequest], options: Mapping[str, Any]) -> Latents:
        generators = noise.generators(requests)
        self._condition(requests, generators)
        return Latents(noise.normal(generators, self.latent_shape), self.space, self.identity)

    def decode(
        self,
        latents: Latents,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        on_step: OnStep = quiet,
    ) -> torch.Tensor:
        """By the chosen sampler where it draws no noise, else by DDIM (Song et al., 2021, arXiv 2010.02502)."""
        sampler = options["sampler"] if options["sampler"] in DETERMINISTIC else "DDIM"
        return self._run(requests, {**options, "sampler": sampler, "eta": 0.0}, on_step, latents.values)

    def interpolate(self, start: Latents, end: Latents, shares: Sequence[float]) -> Latents:
        return start._replace(values=spherical(start.values, end.values, shares))

    def mean_latent(self) -> Latents:
        return Latents(torch.zeros(1, *self.latent_shape), self.space, self.identity)

    def evaluations(self, options: Mapping[str, Any]) -> int:
        return len(self._schedule(options).times) * self._rows(options)

    def _schedule(self, options: Mapping[str, Any], device: torch.device | str = "cpu") -> samplers.Schedule:
        return samplers.schedule(
            self.scheduler_config,
            options["sampler"],
            options["steps"],
            options["eta"],
            device=device,
            spacing=options["spacing"],
        )

    def _rows(self, options: Mapping[str, Any]) -> int:
        """How often the network evaluates each sample in a step."""
        return 2 if self._guided(options) else 1

    def _guided(self, options: Mapping[str, Any]) -> bool:
        return options.get("guidance_scale", 1.0) > 1

    def _run(
        self,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        on_step: OnStep,
        initial: torch.Tensor | None = None,
        condition: Any = None,
        losses: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """condition: what `_condition` would give, where more than the requests decides it."""
        device = next(self.modules[0].parameters()).device
        schedule = self._schedule(options, device)
        generators = noise.generators(requests)
        drawn_condition = self._condition(requests, generators)
        condition = drawn_condition if condition is None else condition
        drawn = noise.normal(generators, self.latent_shape)
        predict = self._network(condition, generators, self._guided(options), len(schedule.times))
        predict = self._fitted(predict, schedule)
        if self._guided(options):
            predict = self._guided_by(predict, options["guidance_scale"])
        if losses is not None:
            predict = sampling.steered(predict, schedule.scheduler, lambda clean: losses(self._rendered(clean)))
        scale = options.get(SCALE, 0.0)
        if self._guide is not None and scale:
            labels = condition[0] if isinstance(condition, tuple) else condition
            predict = self._steered(predict, schedule, labels, scale)
        start = schedule.start((drawn if initial is None else initial).to(device))

        done = 0

        def report(calls: int, foreseen: torch.Tensor | None) -> None:
            nonlocal done
            done = calls * self._rows(options)
            on_step(done, None if foreseen is None else self._preview(foreseen).cpu())

        asks = self.modules if self.descriptor.parameters >= LONG else ()
        guided = self._guided(options) or losses is not None or bool(scale)
        with within(asks, lambda: on_step(done)):
            latents = sampling.denoise(predict, schedule, start, generators, report, options["eta"], guided=guided)
        return self._pictures(latents).cpu()
