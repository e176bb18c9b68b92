"""The loop of all diffusion models, from noise to what a network foresees, over the schedulers of diffusers.

The loop is ours, so that every sample has its own random numbers, network calls report and can be interrupted, and a
model can have its say after each.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch

from .samplers import Schedule, foresee, moved

PREVIEW_EVERY: Final = 4
CLEAR: Final = 0.001
"""Share of the signal's variance from which on losses of what is foreseen are asked: below it that hardly depends on
the latents, and the step divides its derivative, mostly the network's error, by the root of that share. The starter
DDPM, 6 steps of DDIM, lost its class without this (log p -5.8, unguided -0.0013), and with it keeps it; where classes
come from the loss alone, 100 steps, ten times this share leaves less of them (-8.1; a third of it -6.1)."""
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


def steered(predict: Predict, scheduler: Any, losses: Callable[[torch.Tensor], torch.Tensor]) -> Predict:
    """Classifier guidance (Dhariwal and Nichol, 2021, arXiv 2105.05233, algorithm 2) by losses of what is foreseen.

    Their classifier sees noised pictures; here a loss sees the clean ones that the network foresees, and its derivative
    goes back through the network (semantic and universal guidance: Liu et al., 2021, arXiv 2112.05744, Bansal et al.,
    2023, arXiv 2302.07121).

    losses: of latents without noise [N, C, h, w], each by its own alone: [N]. Not asked below CLEAR.
    """

    def shifted(latents: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        if float(scheduler.alphas_cumprod[round(float(time))]) < CLEAR:
            return predict(latents, time)
        # Inference tensors take part in no derivative.
        with torch.inference_mode(False), torch.enable_grad():
            noised = latents.clone().requires_grad_()
            output = predict(noised, time)
            (derivative,) = torch.autograd.grad(losses(foresee(scheduler, output, time, noised)).sum(), noised)
        return moved(scheduler, output.detach(), time, derivative)

    return shifted


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
    `predict` is `guided` or `steered`; where DDIM clips what is foreseen, it then also takes the noise anew that
    belongs to it, as the code of Dhariwal and Nichol (2021, arXiv 2105.05233) does. Without, guidance pushes what is
    clipped back in by the noise, more often the more steps there are, until more steps draw worse pictures.
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
