"""Guided diffusion as a generator: its own steps and spacings, other samplers, pictures enlarged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from ....diffusion.samplers import OWN, Schedule
from ....diffusion.sampling import Predict
from ....steps import OnStep, quiet
from ... import noise
from ...base import Descriptor, SampleRequest
from .. import guides
from ..base import DiffusionGenerator
from ..ddpm import STATE_FLOATS
from .layouts import Told
from .memory import peak_floats
from .network import UNet
from .process import ANCESTRAL, COSINE, LINEAR_BETAS, NOISE, SpacedSampler, betas_of, own_schedule

STEPS: Final = 250
"""As the published samples were drawn."""
COLOURS: Final = 3


class GuidedDiffusion(DiffusionGenerator):
    """A U-Net of guided or improved diffusion. By DDPM and DDIM it steps as its authors' code does; other samplers are
    diffusers', with the same noise schedule."""

    pixels = True

    def __init__(
        self, architecture: str, network: UNet, told: Told, class_names: tuple[str, ...], identity: str
    ) -> None:
        self.network = network
        self.modules = (network,)
        self._identity = identity
        self._told = told
        self._betas = betas_of(told.schedule, told.steps)
        self._signals = (1 - self._betas).cumprod(0)
        self.scheduler_config = _as_diffusers(told)
        self.descriptor = Descriptor(
            family="diffusion",
            architecture=architecture,
            height=told.side,
            width=told.side,
            channels=COLOURS,
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            conditions=("none", "class") if network.sizes.classes else ("none",),
            class_names=class_names,
            num_classes=network.sizes.classes,
            latent_shape=(COLOURS, told.side, told.side),
            options={
                "sampler": ANCESTRAL,
                "steps": min(STEPS, told.steps),
                "eta": 0.0,
                "spacing": OWN,
                "respacing": "",
            },
            abilities=("upsample",) if told.small_side else ("sample", "decode", "interpolate"),
        )

    @property
    def learned(self) -> bool:
        """Whether the network gives variances too."""
        return self.network.sizes.outputs > COLOURS

    @property
    def small_side(self) -> int:
        """Of pictures that it enlarges, pixels; 0 where it draws."""
        return self._told.small_side

    def memory_bytes(self, batch_size: int) -> int:
        side = self.latent_shape[1]
        floats = peak_floats(self.network.sizes, side) + COLOURS * STATE_FLOATS * side**2
        return self._steered_bytes(int(batch_size * floats * self.network.kind.itemsize), batch_size)

    def draw(self, requests: Sequence[SampleRequest], options: Mapping[str, Any], on_step: OnStep) -> Tensor:
        self.check_can("sample")
        return super().draw(requests, options, on_step)

    def upsample(
        self,
        images: Tensor,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        on_step: OnStep = quiet,
    ) -> Tensor:
        self.check_can("upsample")
        return self._run(requests, options, on_step, condition=self._seen(images, requests))

    def _seen(self, images: Tensor, requests: Sequence[SampleRequest]) -> tuple[Tensor | None, Tensor]:
        """Labels, and the pictures as the network sees them beside the noisy ones."""
        small = images.movedim(-1, 1).float() * 2 - 1
        seen = F.interpolate(small, self.latent_shape[1:], mode="bilinear")
        return self._condition(requests, noise.generators(requests)), seen

    def _condition(self, requests: Sequence[SampleRequest], generators: Sequence[torch.Generator]) -> Tensor | None:
        """int64 [N], the classes; None for a model without."""
        return noise.labels(self.descriptor, requests, generators) if self.descriptor.num_classes else None

    def _network(self, condition: Any, generators: Sequence[torch.Generator], guided: bool, calls: int) -> Predict:
        labels, beside = condition if isinstance(condition, tuple) else (condition, None)
        weight = self.network.kind
        labels = labels.to(weight.device) if labels is not None and self.network.sizes.classes else None
        beside = None if beside is None else beside.to(weight.device, weight.dtype)
        scale = 1000 / self._told.steps if self._told.rescaled else 1.0

        def predict(latents: Tensor, time: Tensor) -> Tensor:
            given = latents.to(weight.dtype)
            if beside is not None:
                given = torch.cat([given, beside], dim=1)
            # One time for all: its embedding is made once, not for each sample.
            return self.network(given, time.to(weight.device).reshape(1) * scale, labels).float()

        return predict

    def _fitted(self, predict: Predict, schedule: Schedule) -> Predict:
        """Other samplers take noise, and know of no variances."""
        if isinstance(schedule.scheduler, SpacedSampler):
            return predict

        def noise_alone(latents: Tensor, time: Tensor) -> Tensor:
            found = predict(latents, time)[:, :COLOURS]
            if self._told.prediction == NOISE:
                return found
            signal = float(self._signals[round(float(time))])
            return (latents - signal**0.5 * found) / (1 - signal) ** 0.5

        return noise_alone

    def _steered(self, predict: Predict, schedule: Schedule, labels: Tensor, scale: float) -> Predict:
        """Its own steps are steered as the reference's are."""
        scheduler, guide = schedule.scheduler, self._guide
        assert guide is not None and self._places is not None
        if not isinstance(scheduler, SpacedSampler):
            return super()._steered(predict, schedule, labels, scale)
        asked, told_by = self._places[labels.cpu()], guides.TRAINED / self._told.steps
        scheduler.gradient = lambda latents, time: (
            scale * guides.gradient(guide, latents, (time * told_by).reshape(1), asked)
        )
        return predict

    def _schedule(self, options: Mapping[str, Any], device: torch.device | str = "cpu") -> Schedule:
        own = own_schedule(self._betas, options, self.learned, self._told.prediction)
        return super()._schedule(options, device) if own is None else own

    def _rendered(self, latents: Tensor) -> Tensor:
        return latents / 2 + 0.5


def _as_diffusers(told: Told) -> dict[str, Any]:
    """The noise schedule as diffusers writes it, for its samplers."""
    first, last = (1000 / told.steps * beta for beta in LINEAR_BETAS)
    return {
        "_class_name": "DDPMScheduler",
        "num_train_timesteps": told.steps,
        "beta_schedule": "squaredcos_cap_v2" if told.schedule == COSINE else "linear",
        "beta_start": first,
        "beta_end": last,
        "prediction_type": NOISE,
        "timestep_spacing": "linspace",
        "clip_sample": True,
    }
