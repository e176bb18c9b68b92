"""Samplers of diffusion models: the loop from noise to what a network foresees, over the schedulers of diffusers.

The loop is ours, so that every sample has its own random numbers, network calls report and can be interrupted.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import torch

from ..errors import BadInput, CannotDo
from ..generators.options import OWN
from .networks import accepted
from .schedulers import foresee, takes_generator

SAMPLERS: Final[Mapping[str, str]] = {
    "DDPM": "DDPMScheduler",
    "DDIM": "DDIMScheduler",
    "DPM-Solver++ 2M": "DPMSolverMultistepScheduler",
    "Euler": "EulerDiscreteScheduler",
}
"""Public names, as in `options.py`, and the classes of diffusers behind them."""

DETERMINISTIC: Final = ("DDIM", "DPM-Solver++ 2M", "Euler")
"""Those that draw no noise in their steps, with eta 0."""

PREVIEW_EVERY: Final = 4
MOST_PREVIEWS: Final = 20

Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(latents [N, C, h, w] as the scheduler scales them, time) -> the network's output, float32 [N, C, h, w]."""

Report = Callable[[int, "torch.Tensor | None"], None]
"""(network calls done, the first sample as it is foreseen to end [1, C, h, w] or None)."""


class Guidance(NamedTuple):
    """Classifier-free guidance (Ho and Salimans, 2022, arXiv 2207.12598).

    scale: above 1. without: the network without the condition, or with the negative one.
    """

    scale: float
    without: Predict


def own_sampler(config: Mapping[str, Any]) -> str:
    """The public name of a model's own scheduler; one that has none is the "model's own"."""
    return next((name for name, scheduler in SAMPLERS.items() if scheduler == config["_class_name"]), OWN)


def build_scheduler(config: Mapping[str, Any], options: Mapping[str, Any], device: torch.device | str = "cpu") -> Any:
    """A new scheduler of diffusers with its time steps set; schedulers keep state between steps.

    config: the model's own, its class under `_class_name`, whose noise schedule all samplers share. options: sampler,
    steps and eta.

    Raises:
        BadInput: more steps than the model was trained with.
        CannotDo: eta for another sampler than DDIM.
    """
    import diffusers

    name = SAMPLERS.get(options["sampler"], config["_class_name"])
    if options["eta"] and name != SAMPLERS["DDIM"]:
        raise CannotDo(
            f"eta: {options['eta']:g} is the share of fresh noise in DDIM's steps, and {_public_name(name)} has none; "
            "set it to 0, or sampler to DDIM."
        )
    made = getattr(diffusers, name)
    scheduler = made(**accepted(made, config))
    most = scheduler.config.num_train_timesteps
    if options["steps"] > most:
        raise BadInput(f"steps: {options['steps']} is more than the model was trained with, {most}.")
    scheduler.set_timesteps(options["steps"], device=device)
    return scheduler


def _public_name(scheduler: str) -> str:
    return next((name for name, known in SAMPLERS.items() if known == scheduler), scheduler)


def network_calls(config: Mapping[str, Any], options: Mapping[str, Any], guided: bool) -> int:
    """Calls of the network for one sample: some schedulers call it more than once per step, and guidance doubles."""
    return len(build_scheduler(config, options).timesteps) * (2 if guided else 1)


def denoise(
    predict: Predict,
    guidance: Guidance | None,
    scheduler: Any,
    noise: torch.Tensor,
    generators: Sequence[torch.Generator],
    eta: float,
    report: Report,
) -> torch.Tensor:
    """The end of the way from `noise`, standard normal, float32 [N, C, h, w].

    generators: one per sample, on the CPU, from which stochastic steps draw: no sample depends on the batch. With
    guidance the network runs twice per step, which takes the time of a doubled batch, but not its memory. report:
    called after every network call; raising there stops the run.
    """
    takes = inspect.signature(scheduler.step).parameters
    settings: dict[str, Any] = {"generator": list(generators)} if takes_generator(scheduler) else {}
    if "eta" in takes:
        settings["eta"] = eta
    latents = noise * scheduler.init_noise_sigma
    last, every = len(scheduler.timesteps) - 1, max(PREVIEW_EVERY, len(scheduler.timesteps) // MOST_PREVIEWS)
    calls = 0
    for index, time in enumerate(scheduler.timesteps):
        scaled = scheduler.scale_model_input(latents, time)
        output = predict(scaled, time)
        calls += 1
        if guidance is not None:
            report(calls, None)
            without = guidance.without(scaled, time)
            output = without + guidance.scale * (output - without)
            calls += 1
        shown = index == last or (index + 1) % every == 0
        foreseen = foresee(scheduler, output[:1], time, scaled[:1]) if shown else None
        latents = scheduler.step(output, time, latents, **settings).prev_sample
        report(calls, foreseen)
    return latents
