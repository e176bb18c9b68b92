"""The loop of all diffusion models, from noise to what a network foresees, over the schedulers of diffusers.

The loop is ours, so that every sample has its own random numbers, network calls report and can be interrupted, and a
model can have its say after each.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch

from .samplers import Schedule, foresee

PREVIEW_EVERY: Final = 4
MOST_PREVIEWS: Final = 20

Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(latents [N, C, h, w] as the scheduler scales them, time) -> the network's output, float32 [N, C, h, w]."""

After = Callable[[torch.Tensor, int], torch.Tensor]
"""(latents [N, C, h, w], network calls done) -> the latents to go on with."""

Report = Callable[[int, "torch.Tensor | None"], None]
"""(network calls done, the first sample as it is foreseen to end [1, C, h, w] or None)."""


def as_they_are(latents: torch.Tensor, calls: int) -> torch.Tensor:
    """An `After` for models that leave the latents to the sampler."""
    return latents


def guided(predict: Predict, scale: float) -> Predict:
    """Classifier-free guidance (Ho and Salimans, 2022, arXiv 2207.12598) of N samples.

    predict: the network for 2 N samples, the first N without the condition, or with the negative one. One call for
    both is as fast as two where batches are large, and up to twice as fast where they are small.
    """

    def both(latents: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        without, given = predict(torch.cat([latents, latents]), time).chunk(2)
        return without + scale * (given - without)

    return both


def denoise(
    predict: Predict,
    schedule: Schedule,
    latents: torch.Tensor,
    generators: Sequence[torch.Generator],
    report: Report,
    eta: float = 0.0,
    after: After = as_they_are,
    guided: bool = False,
) -> torch.Tensor:
    """The end of the way from the first latents, float32 [N, C, h, w], see `Schedule.start`.

    generators: one per sample, on the CPU, from which stochastic steps draw: no sample depends on the batch. report:
    called after every network call; raising there stops the run. eta: DDIM's share of fresh noise. guided: whether
    `predict` is `guided`; where DDIM clips what is foreseen, it then also takes the noise anew that belongs to it, as
    the code of Dhariwal and Nichol (2021, arXiv 2105.05233) does. Without, guidance pushes what is clipped back in by
    the noise, more often the more steps there are, until more steps draw worse pictures.
    """
    scheduler, times = schedule
    takes = inspect.signature(scheduler.step).parameters
    settings: dict[str, Any] = {"generator": list(generators)} if "generator" in takes else {}
    if "eta" in takes:
        settings["eta"] = eta
    if "use_clipped_model_output" in takes:
        settings["use_clipped_model_output"] = guided
    every = max(PREVIEW_EVERY, len(times) // MOST_PREVIEWS)
    for calls, time in enumerate(times, 1):
        scaled = scheduler.scale_model_input(latents, time)
        output = predict(scaled, time)
        shown = calls == len(times) or calls % every == 0
        foreseen = foresee(scheduler, output[:1], time, scaled[:1]) if shown else None
        latents = after(scheduler.step(output, time, latents, **settings).prev_sample, calls)
        report(calls, foreseen)
    return latents
