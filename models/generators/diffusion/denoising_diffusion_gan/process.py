"""The few large steps of denoising diffusion GANs (Xiao et al., 2022, arXiv 2112.07804, section 3 and appendix B)."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

BETA_MIN, BETA_MAX = 0.1, 20.0
"""Of the variance-preserving process that is cut into steps. Cannot be detected; as all published files have it."""
FIRST: Final = 1e-3
"""Where on its way from 0 to 1 the first step begins."""


class Step(NamedTuple):
    """From one noise level to the next.

    before, after: the signal's share of the variance on either side of the step, before > after. clean, noisy: what
    the pictures of either kind contribute to the mean of the posterior q(x_t-1 | x_t, x_0). deviation: of it.
    """

    before: float
    after: float
    clean: float
    noisy: float
    deviation: float


def steps_of(count: int) -> list[Step]:
    """All of a process of `count` steps, that of the least noise first (Ho et al., 2020, arXiv 2006.11239, equation 7).

    The first step begins at the picture itself, not at what little noise the process would have there.
    """
    kept = [_kept(FIRST + (1 - FIRST) * place / count) for place in range(count + 1)]
    steps, before = [], 1.0
    for place in range(count):
        alpha = kept[place + 1] / kept[place]
        beta, after = 1 - alpha, before * alpha
        clean = beta * math.sqrt(before) / (1 - after)
        noisy = (1 - before) * math.sqrt(alpha) / (1 - after)
        steps.append(Step(before, after, clean, noisy, math.sqrt(beta * (1 - before) / (1 - after))))
        before = after
    return steps


def _kept(time: float) -> float:
    """The signal's share of the variance at a time, 0 to 1 (Song et al., 2021, arXiv 2011.13456, equation 29)."""
    return math.exp(-0.5 * time**2 * (BETA_MAX - BETA_MIN) - time * BETA_MIN)
