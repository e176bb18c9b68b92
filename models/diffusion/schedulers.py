"""Samplers of diffusion models, by the names under which users know them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final

import torch

from .networks import accepted

OWN: Final = "model's own"

SCHEDULERS: Final[dict[str, str]] = {
    "DDIM": "DDIMScheduler",
    "Euler": "EulerDiscreteScheduler",
    "Euler ancestral": "EulerAncestralDiscreteScheduler",
    "DPM-Solver++ 2M": "DPMSolverMultistepScheduler",
}
"""Public names, for ever, and the classes of diffusers behind them."""

SUPPORTED: Final = (
    *SCHEDULERS.values(),
    "DDPMScheduler",
    "HeunDiscreteScheduler",
    "LMSDiscreteScheduler",
    "PNDMScheduler",
    "UniPCMultistepScheduler",
)
"""Classes that a model folder may name as its own."""

# What StableDiffusionInpaintPipeline sets on every scheduler: latents have no limits to clip at, and PNDM's
# Runge-Kutta steps cannot be combined with a mask.
LATENT_SETTINGS: Final = {"clip_sample": False, "steps_offset": 1, "skip_prk_steps": True}


def names() -> list[str]:
    """What a scheduler list offers, the model's own first."""
    return [OWN, *SCHEDULERS]


def build(name: str, config: Mapping[str, Any]) -> Any:
    """A new scheduler: `name` is one of `names()`, `config` the model's, whose noise schedule all share.

    Schedulers keep state between steps; each run takes a new one.
    """
    import diffusers

    scheduler = getattr(diffusers, SCHEDULERS.get(name, config["_class_name"]))
    return scheduler(**accepted(scheduler, {**config, **LATENT_SETTINGS}))


def takes_generator(scheduler: Any) -> bool:
    """Whether the steps may draw noise of their own."""
    return "generator" in inspect.signature(scheduler.step).parameters


def foresee(scheduler: Any, output: torch.Tensor, time: torch.Tensor, scaled: torch.Tensor) -> torch.Tensor:
    """The noise-free latents that a network's output foresees.

    scaled: the latents as the network saw them, of unit variance: sqrt(a) x0 + sqrt(1 - a) noise, a the scheduler's
    cumulative alpha at `time` (Ho et al., 2020, eq. 15; for velocities Salimans and Ho, 2022, appendix D).
    """
    alpha = scheduler.alphas_cumprod[round(float(time))].to(scaled.device)
    if scheduler.config.prediction_type == "v_prediction":
        return alpha.sqrt() * scaled - (1 - alpha).sqrt() * output
    if scheduler.config.prediction_type == "sample":
        return output
    return (scaled - (1 - alpha).sqrt() * output) / alpha.sqrt()
