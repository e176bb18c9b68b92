"""Down the levels of noise by Heun's method, with noise put back in between (algorithm 2 of Karras et al., 2022, arXiv
2206.00364)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import torch
from torch import Tensor

from ....errors import BadInput
from ... import noise
from .preconditioning import Preconditioning

MOST_CHURN: Final = math.sqrt(2) - 1
"""Of its level a step may put back at most this share."""

Denoise = Callable[[Tensor, float], Tensor]
"""(noisy pictures [N, C, h, w], their level) -> what they are without noise, as the network expects it."""
Report = Callable[[int, Tensor], None]
"""(network calls done, the first picture as it is expected to end [1, C, h, w])."""


class Settings(NamedTuple):
    """The authors' names in capitals: S_churn, S_min, S_max, S_noise. second_order: whether each step but the last asks
    twice."""

    steps: int
    sigma_min: float
    sigma_max: float
    rho: float
    s_churn: float
    s_tmin: float
    s_tmax: float
    s_noise: float
    second_order: bool = True

    @property
    def calls(self) -> int:
        """Of the network, for a run."""
        return 2 * self.steps - 1 if self.second_order else self.steps


def levels(settings: Settings, network: Preconditioning) -> list[float]:
    """Of noise, from the first step's to 0, [steps + 1].

    Raises:
        BadInput: the network knows none in the range.
    """
    lowest = max(settings.sigma_min, network.lowest)
    highest = min(settings.sigma_max, network.highest)
    if not 0 < lowest < highest:
        raise BadInput(
            f"sigma_min: {settings.sigma_min:g} to sigma_max {settings.sigma_max:g} is no range above 0 of the levels "
            f"that the network knows, {network.lowest:g} to {network.highest:g}."
        )
    first, last = highest ** (1 / settings.rho), lowest ** (1 / settings.rho)
    shares = [place / max(settings.steps - 1, 1) for place in range(settings.steps)]
    return [*(network.rounded((first + share * (last - first)) ** settings.rho) for share in shares), 0.0]


def run(
    denoise: Denoise,
    network: Preconditioning,
    settings: Settings,
    start: Tensor,
    generators: Sequence[torch.Generator],
    report: Report,
) -> Tensor:
    """The end of the way from standard normal numbers [N, C, h, w], in their dtype.

    generators: one per sample, on the CPU; each step draws from them where there is churn at all. report: called after
    every network call; raising there stops the run.
    """
    way = levels(settings, network)
    x, calls = start * way[0], 0

    def slope(noisy: Tensor, level: float) -> Tensor:
        nonlocal calls
        clean = denoise(noisy, level)
        calls += 1
        report(calls, clean[:1])
        return (noisy - clean) / level

    for place, (level, following) in enumerate(pairwise(way)):
        raised = level
        if settings.s_churn:
            drawn = noise.normal(generators, x.shape[1:]).to(x)
            if settings.s_tmin <= level <= settings.s_tmax:
                raised = network.rounded(level * (1 + min(settings.s_churn / settings.steps, MOST_CHURN)))
            # Rounding may lower it.
            x = x + max(raised**2 - level**2, 0.0) ** 0.5 * settings.s_noise * drawn
        here = slope(x, raised)
        moved = x + (following - raised) * here
        if settings.second_order and place < settings.steps - 1:
            moved = x + (following - raised) * 0.5 * (here + slope(moved, following))
        x = moved
    return x
