"""GLIDE as a generator: prompts to pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch

from ....diffusion import sampling
from ....diffusion.samplers import OWN, Schedule
from ....diffusion.sampling import Predict
from ....errors import CannotDo
from ....families import Family
from ....files.checkpoints import Checkpoint
from ....steps import OnStep, within
from ....weights import DtypeFor, full_precision
from ... import noise
from ...base import Condition, Descriptor, SampleRequest
from ..adm.process import COSINE, SpacedSampler, betas_of, guided, own_schedule
from ..base import DiffusionGenerator
from . import files, words
from .files import NAME
from .memory import stage_bytes
from .progress import Progress
from .stages import GUIDANCE_SCALE, SCALE, STEPS, TRAINED, UPSAMPLING, Glide, drawing, enlarge

ROUNDS_OFF: Final = "Euler ancestral"
SCHEDULER: Final[Mapping[str, Any]] = {
    "_class_name": "DDPMScheduler",
    "num_train_timesteps": TRAINED,
    "beta_schedule": "squaredcos_cap_v2",
    "timestep_spacing": "linspace",
    "clip_sample": True,
}


class GlideGenerator(DiffusionGenerator):
    """Latents "z" are the noise that small pictures begin with. The options are of these; large ones are always drawn
    from them in the 27 steps of the authors."""

    scheduler_config = SCHEDULER

    def __init__(self, glide: Glide, identity: str) -> None:
        self.glide = glide
        self.modules = (glide.base, glide.upsampler)
        self._identity = identity
        side = glide.side
        self.descriptor = Descriptor(
            family="diffusion",
            architecture=NAME,
            height=SCALE * side,
            width=SCALE * side,
            channels=3,
            parameters=sum(parameter.numel() for module in self.modules for parameter in module.parameters()),
            conditions=("none", "prompt"),
            latent_shape=(3, side, side),
            options={
                "sampler": "DDPM",
                "steps": STEPS,
                "eta": 0.0,
                "guidance_scale": GUIDANCE_SCALE,
                "spacing": OWN,
                "respacing": "",
            },
            abilities=("sample", "decode", "interpolate"),
        )

    def remark(self, condition: Condition) -> str:
        return words.remark(condition.text, self.glide.base.text.length)

    def memory_bytes(self, batch_size: int) -> int:
        rows = self._rows(self.descriptor.options) * batch_size
        return stage_bytes(self.glide, rows, batch_size, self.latent_shape[1])

    def _schedule(self, options: Mapping[str, Any], device: torch.device | str = "cpu") -> Schedule:
        own = own_schedule(betas_of(COSINE, TRAINED), options)
        if own is not None:
            return own
        if options["sampler"] == ROUNDS_OFF:
            raise CannotDo(
                f"sampler: {ROUNDS_OFF} takes the square root of a difference that rounds to less than nothing where "
                f"there is as little signal as in {NAME}'s first step; take DDPM or DDIM."
            )
        return super()._schedule(options, device)

    def evaluations(self, options: Mapping[str, Any]) -> int:
        return super().evaluations(options) + len(UPSAMPLING)

    def _condition(
        self, requests: Sequence[SampleRequest], generators: Sequence[torch.Generator]
    ) -> Sequence[SampleRequest]:
        return requests

    def _network(
        self,
        condition: Sequence[SampleRequest],
        generators: Sequence[torch.Generator],
        guided: bool,
        calls: int,
    ) -> Predict:
        texts = [request.condition.text for request in condition]
        negative = [request.condition.negative for request in condition] if guided else None
        return drawing(self.glide.base, texts, negative, None)

    def _rendered(self, latents: torch.Tensor) -> torch.Tensor:
        return latents / 2 + 0.5

    def draw_steered(
        self,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        on_step: OnStep,
        losses: Callable[[torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        raise CannotDo(f"generator: {self.descriptor.architecture} draws in two stages, which no critic leads yet.")

    def _run(
        self,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        on_step: OnStep,
        initial: torch.Tensor | None = None,
    ) -> torch.Tensor:
        generators = noise.generators(requests)
        drawn = noise.normal(generators, self.latent_shape)
        progress = Progress(on_step, self._preview)
        texts = [request.condition.text for request in requests]
        with within(self.modules, progress.tick):
            small = self._small(requests, options, generators, drawn if initial is None else initial, progress)
            progress.next_stage()
            large = enlarge(self.glide, texts, small, generators, progress.report, None)
        return self._pictures(large).cpu()

    def _small(
        self,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        generators: Sequence[torch.Generator],
        start: torch.Tensor,
        progress: Progress,
    ) -> torch.Tensor:
        """[N, 3, h, w], -1..1."""
        device = next(self.glide.base.parameters()).device
        schedule = self._schedule(options, device)
        predict = self._network(requests, generators, self._guided(options), len(schedule.times))
        if self._guided(options):
            predict = guided(predict, options["guidance_scale"])
        progress.rows = self._rows(options)
        start = schedule.start(start.to(device))
        if isinstance(schedule.scheduler, SpacedSampler):
            return sampling.denoise(predict, schedule, start, generators, progress.report, options["eta"])

        def noise_alone(noised: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
            return predict(noised, time)[:, : noised.shape[1]]

        return sampling.denoise(noise_alone, schedule, start, generators, progress.report).clamp(-1, 1)


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> GlideGenerator:
    """The generator of a base model's file, see `files.read`."""
    return GlideGenerator(*files.read(checkpoint, dtype_for))


FAMILY: Final = Family(NAME, files.detect, load, files.tiny, files.files, files.typical)
