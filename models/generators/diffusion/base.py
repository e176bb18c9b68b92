"""What all diffusion generators share: from requests to noise, through the sampler, to pictures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

import torch

from ...diffusion import samplers, sampling
from ...diffusion.samplers import DETERMINISTIC
from ...diffusion.sampling import Predict
from ...steps import OnStep, quiet, within
from ...weights import identity_of
from .. import noise
from ..base import Generator, Latents, SampleRequest
from ..interpolation import spherical

LONG: Final = 50_000_000
"""Parameters from which on a step can take so long that it asks within whether it is to stop."""


class DiffusionGenerator(Generator):
    """A denoising network with its noise schedule. Latents "z" are its initial noise.

    scheduler_config: the model's own scheduler as diffusers writes it, its class under `_class_name`.
    """

    scheduler_config: Mapping[str, Any]
    space: ClassVar = "z"

    _identity: str | None = None

    @property
    def identity(self) -> str:
        """See `Generator`; of billions of weights it takes a while, so it is found when it is first asked for."""
        if self._identity is None:
            self._identity = identity_of(self.modules)
        return self._identity

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
            predict = sampling.guided(predict, options["guidance_scale"])
        if losses is not None:
            predict = sampling.steered(predict, schedule.scheduler, lambda clean: losses(self._rendered(clean)))
        start = schedule.start((drawn if initial is None else initial).to(device))

        done = 0

        def report(calls: int, foreseen: torch.Tensor | None) -> None:
            nonlocal done
            done = calls * self._rows(options)
            on_step(done, None if foreseen is None else self._preview(foreseen).cpu())

        asks = self.modules if self.descriptor.parameters >= LONG else ()
        guided = self._guided(options) or losses is not None
        with within(asks, lambda: on_step(done)):
            latents = sampling.denoise(predict, schedule, start, generators, report, options["eta"], guided=guided)
        return self._pictures(latents).cpu()
