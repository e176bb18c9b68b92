"""Gaussian diffusion over some of the steps of a training, as guided diffusion and its kin sample it.

The networks foresee noise, and how far each variance lies between the least and the most that it can be (Nichol and
Dhariwal, 2021, arXiv 2102.09672, eq. 15). Schedulers of diffusers take that range from the training's steps, where it
has to be of the steps that are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import torch

from ...diffusion.sampling import MOST_PREVIEWS, PREVIEW_EVERY, Report
from ...errors import BadInput
from .. import noise

TRAINED: Final = 1000
"""Steps of the trainings."""
LINEAR: Final = "linear"
COSINE: Final = "squaredcos_cap_v2"
"""Noise schedules, as diffusers names them."""
MOST_BETA: Final = 0.999
FAST: Final = "fast27"
"""The steps of GLIDE's upsampler, most of them where there is little noise; the last is one where there is some signal.
"""
STRIDED: Final = "ddim"
"""Before a number of steps: all as far apart, from the first on."""

Restrict = Callable[[torch.Tensor], torch.Tensor]
"""What is foreseen [N, C, h, w] -> the same with what is known of it."""
Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(noised pictures [N, C, h, w], their step of the training, int64 [N]) -> noise and variances [N, 2 C, h, w]."""


class Foreseen(NamedTuple):
    """What a network foresees of N noised pictures, each [N, C, h, w].

    clean: without any noise. mean, log_variance: of the Gaussian of the step before.
    """

    clean: torch.Tensor
    mean: torch.Tensor
    log_variance: torch.Tensor


def trained_betas(schedule: str, steps: int = TRAINED) -> torch.Tensor:
    """Variances of the noise that each step of a training adds, float64 [steps].

    Linear: Ho et al., 2020, arXiv 2006.11239, as many times smaller as there are more steps than 1000. Cosine: Nichol
    and Dhariwal, 2021, eq. 17.
    """
    if schedule == LINEAR:
        scale = TRAINED / steps
        return torch.linspace(scale * 1e-4, scale * 0.02, steps, dtype=torch.float64)
    assert schedule == COSINE, schedule
    ends = torch.arange(steps + 1, dtype=torch.float64) / steps
    left = torch.cos((ends + 0.008) / 1.008 * torch.pi / 2) ** 2
    return (1 - left[1:] / left[:-1]).clamp(max=MOST_BETA)


def spaced(steps: str, trained: int = TRAINED) -> list[int]:
    """Which steps of a training are taken, upwards.

    steps: "250", spread evenly from the first to the last; "10,10,3,2,2", so many of each of as many sections;
    "ddim25", all as far apart, from the first on; or "fast27".

    Raises:
        BadInput: more of a section than it has; or a number that no distance gives.
    """
    if steps == FAST:
        return [*spaced("10,10,3,2,2", trained)[:-1], trained - 3]
    if steps.startswith(STRIDED):
        wanted = int(steps.removeprefix(STRIDED))
        for distance in range(1, trained + 1):
            if len(range(0, trained, distance)) == wanted:
                return [*range(0, trained, distance)]
        raise BadInput(f"steps: of {trained} no {wanted} are all as far apart; take a number that divides {trained}.")
    counts = [int(count) for count in steps.split(",")]
    taken, first = [], 0
    for place, count in enumerate(counts):
        size = trained // len(counts) + (place < trained % len(counts))
        if not 1 <= count <= size:
            raise BadInput(f"steps: {count} is out of range, 1 to {size}.")
        distance = (size - 1) / (count - 1) if count > 1 else 1.0
        taken += [first + round(distance * step) for step in range(count)]
        first += size
    return taken


def evenly_spaced(steps: int, spacing: str, trained: int = TRAINED) -> list[int]:
    """So many steps of a training, upwards, spaced as `samplers.SPACINGS` are, or as guided diffusion does.

    Raises:
        BadInput: see `spaced`.
    """
    if spacing == "trailing":
        return [round(trained * (step + 1) / steps) - 1 for step in range(steps)]
    return spaced(f"{STRIDED}{steps}" if spacing == "leading" else str(steps), trained)


def guided(predict: Predict, scale: float) -> Predict:
    """Classifier-free guidance (Ho and Salimans, 2022, arXiv 2207.12598) of the noise of N samples; variances are those
    that the condition gives.

    predict: the network for 2 N samples, the first N without the condition, or with the negative one.
    """

    def both(noised: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        without, given = predict(torch.cat([noised, noised]), torch.cat([time, time])).chunk(2)
        channels = noised.shape[1]
        foreseen = torch.lerp(without[:, :channels], given[:, :channels], scale)
        return torch.cat([foreseen, given[:, channels:]], dim=1)

    return both


class GaussianDiffusion:
    """The way between pictures and noise over the steps taken.

    betas: of the training, float64. times: the steps of the training that are taken, upwards. clip: whether what is
    foreseen is kept within -1..1, the range of pictures. An index, an int or int64 [N] on the CPU, counts the steps
    taken.
    """

    def __init__(self, betas: torch.Tensor, times: Sequence[int], clip: bool = True) -> None:
        self.times = tuple(times)
        self.clip = clip
        left = torch.cumprod(1 - betas, dim=0)[list(times)]
        before = torch.cat([left.new_ones(1), left[:-1]])
        self.betas = 1 - left / before
        self.left, self._before = left, before
        variance = self.betas * (1 - before) / (1 - left)
        # Without a step before the first, its variance would be 0 and have no logarithm.
        least = torch.cat([variance[1:2], variance[1:]]) if len(times) > 1 else self.betas
        self._least, self._most = least.log(), self.betas.log()
        self._of_clean = self.betas * before.sqrt() / (1 - left)
        self._of_noised = (1 - before) * (1 - self.betas).sqrt() / (1 - left)

    def clean(self, noised: torch.Tensor, noise: torch.Tensor, index: int | torch.Tensor) -> torch.Tensor:
        """Noised pictures without this noise."""
        reciprocal = 1 / self.left
        return _at(reciprocal.sqrt(), index, noised) * noised - _at((reciprocal - 1).sqrt(), index, noised) * noise

    def noise(self, noised: torch.Tensor, clean: torch.Tensor, index: int | torch.Tensor) -> torch.Tensor:
        """What noises these pictures so."""
        reciprocal = 1 / self.left
        return (_at(reciprocal.sqrt(), index, noised) * noised - clean) / _at((reciprocal - 1).sqrt(), index, noised)

    def noised(self, clean: torch.Tensor, noise: torch.Tensor, index: int) -> torch.Tensor:
        """Pictures with noise, as they are before this step."""
        return _at(self.left.sqrt(), index, clean) * clean + _at((1 - self.left).sqrt(), index, clean) * noise

    def mean(self, noised: torch.Tensor, clean: torch.Tensor, index: int | torch.Tensor) -> torch.Tensor:
        """Of the step before, where this is the picture (Ho et al., 2020, eq. 7)."""
        return _at(self._of_clean, index, noised) * clean + _at(self._of_noised, index, noised) * noised

    def foresee(
        self,
        output: torch.Tensor,
        noised: torch.Tensor,
        index: int | torch.Tensor,
        restrict: Restrict | None = None,
    ) -> Foreseen:
        """What a network's output [N, 2 C, h, w] says of noised pictures [N, C, h, w]."""
        foreseen_noise, share = output.chunk(2, dim=1)
        clean = self.clean(noised, foreseen_noise, index)
        if restrict is not None:
            clean = restrict(clean)
        if self.clip:
            clean = clean.clamp(-1, 1)
        share = (share + 1) / 2
        log_variance = share * _at(self._most, index, noised) + (1 - share) * _at(self._least, index, noised)
        return Foreseen(clean, self.mean(noised, clean, index), log_variance)

    def ancestral_step(self, foreseen: Foreseen, index: int, drawn: torch.Tensor | None) -> torch.Tensor:
        """The step before (Ho et al., 2020, algorithm 2). drawn: normal numbers; None before the first."""
        return foreseen.mean if drawn is None else foreseen.mean + (foreseen.log_variance / 2).exp() * drawn

    def ddim_step(
        self, clean: torch.Tensor, noised: torch.Tensor, index: int, eta: float = 0.0, drawn: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The step before (Song et al., 2021, arXiv 2010.02502, eq. 12), with the noise that belongs to what is
        foreseen, clipped or not. drawn: normal numbers for eta above 0; None before the first."""
        left, before = float(self.left[index]), float(self._before[index])
        deviation = eta * ((1 - before) / (1 - left)) ** 0.5 * (1 - left / before) ** 0.5
        ahead = before**0.5 * clean + (1 - before - deviation**2) ** 0.5 * self.noise(noised, clean, index)
        return ahead if drawn is None else ahead + deviation * drawn

    def denoise(
        self,
        predict: Predict,
        noised: torch.Tensor,
        generators: Sequence[torch.Generator],
        report: Report,
        ancestral: bool,
        eta: float = 0.0,
        restrict: Restrict | None = None,
        taken: int | None = None,
    ) -> torch.Tensor:
        """The pictures at the end of the way from the first noise, float32 [N, C, h, w].

        generators: one per sample, on the CPU, from which stochastic steps draw. report: called after every network
        call; raising there stops the run. ancestral: DDPM's steps, else DDIM's, with its share of
        fresh noise. taken: so many steps, the last ones; all of them unasked.
        """
        taken = len(self.times) if taken is None else taken
        every = max(PREVIEW_EVERY, taken // MOST_PREVIEWS)
        for calls, index in enumerate(reversed(range(taken)), 1):
            time = torch.full((len(noised),), self.times[index], device=noised.device)
            foreseen = self.foresee(predict(noised, time), noised, index, restrict)
            draws = index > 0 and (ancestral or eta > 0)
            drawn = noise.normal(generators, noised.shape[1:]).to(noised.device) if draws else None
            if ancestral:
                noised = self.ancestral_step(foreseen, index, drawn)
            else:
                noised = self.ddim_step(foreseen.clean, noised, index, eta, drawn)
            report(calls, foreseen.clean[:1] if index == 0 or calls % every == 0 else None)
        return noised


def _at(table: torch.Tensor, index: int | torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Values of a table, float32 [N or 1, 1, 1, 1]."""
    return table[index].to(like.device, torch.float32).reshape(-1, 1, 1, 1)
