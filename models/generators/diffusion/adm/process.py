"""The noising of guided diffusion undone step by step, as Nichol and Dhariwal (2021, arXiv 2102.09672) do it.

A step of fewer than the trained ones takes the betas that lead over the steps left out, and the variances of those. The
class has the attributes that `sampling.denoise` asks of diffusers' schedulers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from ....diffusion import samplers
from ....diffusion.samplers import OWN, Schedule
from ....diffusion.sampling import Predict
from ....errors import BadInput, CannotDo
from ....texts import SHOWN, whole_number
from ... import noise

ANCESTRAL, IMPLICIT = "DDPM", "DDIM"
LINEAR: Final = "linear"
COSINE: Final = "cosine"
SCHEDULES: Final = (LINEAR, COSINE)
LINEAR_BETAS: Final = (1e-4, 0.02)
"""The first and the last of 1,000 steps."""
MOST_BETA: Final = 0.999
STRIDE: Final = "ddim"
"""What the reference writes before a number of steps at equal distances."""

NOISE: Final = "epsilon"
PICTURE: Final = "sample"
"""What a network foresees, as diffusers calls it."""

FAST: Final = "fast27"
"""The steps of GLIDE's upsampler, as its authors call them: most where there is little noise, the last where there is
some signal."""
FAST_PARTS, FAST_LAST = "10,10,3,2,2", 3

Restrict = Callable[[Tensor], Tensor]
"""What is foreseen [N, C, h, w] -> the same with what is known of it."""
Gradient = Callable[[Tensor, Tensor], Tensor]
"""(noisy pictures [N, C, h, w], time) -> what their log probability rises by, scaled, of the same shape."""


def betas_of(schedule: str, steps: int) -> Tensor:
    """Of a noise schedule of so many trained steps, float64 [steps]."""
    if schedule == LINEAR:
        first, last = (1000 / steps * beta for beta in LINEAR_BETAS)
        return torch.linspace(first, last, steps, dtype=torch.float64)

    def signal(share: float) -> float:
        return math.cos((share + 0.008) / 1.008 * math.pi / 2) ** 2

    kept = [signal((step + 1) / steps) / signal(step / steps) for step in range(steps)]
    return torch.tensor([min(1 - share, MOST_BETA) for share in kept], dtype=torch.float64)


def respaced(trained: int, text: str) -> list[int]:
    """The time steps of the reference's `--timestep_respacing`, ascending.

    ddim25: 25 steps at equal distances. 250: so many, evenly from the first to the last. 10,10,3,2,2: so many of each
    of as many equal parts of the training, the first of little noise. fast27: see FAST.

    Raises:
        BadInput: it is none of these, or cannot be had.
    """
    words = text.replace(" ", "")
    if words == FAST:
        return [*respaced(trained, FAST_PARTS)[:-1], trained - FAST_LAST]
    if words.startswith(STRIDE):
        return _strided(trained, _count(words.removeprefix(STRIDE), text), text)
    counts = [_count(word, text) for word in words.split(",")]
    size, more = divmod(trained, len(counts))
    found, start = [], 0
    for place, count in enumerate(counts):
        length = size + (place < more)
        if count > length:
            raise BadInput(
                f"respacing: {text!r} asks for {count} of the {length} steps of a part; the model was trained with "
                f"{trained} in all."
            )
        found += _evenly(start, length, count)
        start += length
    if not found:
        raise BadInput(f"respacing: {text!r} leaves no step.")
    return found


def _count(word: str, text: str) -> int:
    count = whole_number(word)
    if count is None:
        raise BadInput(
            f"respacing: {text[:SHOWN]!r} is none of 250, {STRIDE}25 and 10,10,3,2,2; give numbers like these."
        )
    return count


def _strided(trained: int, count: int, text: str) -> list[int]:
    stride = _stride(trained, count)
    if stride is None:
        raise BadInput(f"respacing: no whole stride takes {count} of {trained} steps, as {text!r} asks; give {count}.")
    return list(range(0, trained, stride))


def _stride(trained: int, count: int) -> int | None:
    """The smallest that takes exactly so many steps."""
    return next((each for each in range(1, trained) if len(range(0, trained, each)) == count), None)


def _evenly(start: int, length: int, count: int) -> list[int]:
    """So many steps from the first to the last of a part, added up as the reference does it, rounding to even."""
    step = (length - 1) / (count - 1) if count > 1 else 1.0
    found, place = [], 0.0
    for _ in range(count):
        found.append(start + round(place))
        place += step
    return found


def spaced(trained: int, steps: int, spacing: str, ancestral: bool) -> list[int]:
    """So many time steps, ascending. spacing: one of `samplers.SPACINGS`, or the model's own: as the reference takes
    them, evenly, and for DDIM at equal distances, where a whole stride has so many."""
    if spacing == "leading":
        return [place * (trained // steps) for place in range(steps)]
    if spacing == "trailing":
        return sorted(round(trained - place * trained / steps) - 1 for place in range(steps))
    stride = _stride(trained, steps) if spacing == OWN and not ancestral else None
    return _evenly(0, trained, steps) if stride is None else list(range(0, trained, stride))


def own_schedule(
    betas: Tensor, options: Mapping[str, Any], learned: bool = True, prediction: str = NOISE, clip: bool = True
) -> Schedule | None:
    """Of these options, where their sampler is DDPM or DDIM; None for another. See `SpacedSampler`.

    Raises:
        CannotDo: another sampler than DDIM with fresh noise, or than both with a respacing.
        BadInput: no such steps.
    """
    sampler, text = options["sampler"], options["respacing"]
    if sampler not in (ANCESTRAL, IMPLICIT):
        if text:
            raise CannotDo(f"respacing: it is for DDPM and DDIM, not for {sampler}; leave it empty.")
        return None
    samplers.check_eta(options["eta"], sampler, sampler == IMPLICIT)
    trained, steps, spacing = len(betas), options["steps"], options["spacing"]
    if text:
        times = respaced(trained, text)
    else:
        samplers.check_steps(steps, trained)
        times = spaced(trained, steps, spacing, sampler == ANCESTRAL)
        samplers.check_beginning(
            times[-1],
            steps,
            trained,
            spacing,
            lambda fewer: spaced(trained, fewer, spacing, sampler == ANCESTRAL)[-1],
        )
    made = SpacedSampler(betas, times, sampler == ANCESTRAL, learned, prediction, clip)
    return Schedule(made, made.timesteps)


def guided(predict: Predict, scale: float, channels: int | None = None) -> Predict:
    """Classifier-free guidance (Ho and Salimans, 2022, arXiv 2207.12598) of the noise of N samples; variances are those
    that the condition gives. predict: see `sampling.guided`. channels: the first so many alone; None for all."""

    def both(latents: Tensor, time: Tensor) -> Tensor:
        without, given = predict(torch.cat([latents, latents]), time).chunk(2)
        count = latents.shape[1] if channels is None else channels
        foreseen = torch.lerp(without[:, :count], given[:, :count], scale)
        return torch.cat([foreseen, given[:, count:]], dim=1)

    return both


class Step(NamedTuple):
    """prev_sample: noisy pictures of the step before."""

    prev_sample: Tensor


class Moments(NamedTuple):
    """Of the pictures before a step: a Gaussian, and the picture that is foreseen. All [N, C, h, w], or numbers."""

    mean: Tensor
    log_variance: Tensor | float
    foreseen: Tensor


class SpacedSampler:
    """Steps over some of the trained time steps, by DDPM (`ancestral`) or DDIM.

    betas: float64, of all trained steps. times: those that are taken, ascending. learned: whether the network also
    gives how much of two variances there is to be; else the larger one is taken. prediction: what it foresees.
    gradient: steers each step where it is set. restrict: puts in what is known, where it is set, before it is cut off
    at -1 and 1, where `clip`. Serves one run.
    """

    order: Final = 1
    init_noise_sigma: Final = 1.0

    def __init__(
        self,
        betas: Tensor,
        times: Sequence[int],
        ancestral: bool,
        learned: bool = True,
        prediction: str = NOISE,
        clip: bool = True,
    ) -> None:
        self.ancestral, self.learned, self.clip = ancestral, learned, clip
        self.gradient: Gradient | None = None
        self.restrict: Restrict | None = None
        self.alphas_cumprod = (1 - betas).cumprod(0)
        self.timesteps = torch.tensor(list(times)).flip(0)
        self.config = SimpleNamespace(
            prediction_type=prediction, num_train_timesteps=len(betas), timestep_spacing="by respacing"
        )
        self._places = {time: place for place, time in enumerate(times)}
        signals = self.alphas_cumprod[list(times)]
        before = torch.cat([torch.ones(1, dtype=torch.float64), signals[:-1]])
        spaced_betas = 1 - signals / before
        small = spaced_betas * (1 - before) / (1 - signals)
        # The first one is 0, of which there is no logarithm.
        self._small = torch.cat([small[1:2], small[1:]]) if len(times) > 1 else spaced_betas
        self._large = torch.cat([self._small[:1], spaced_betas[1:]])
        self.betas, self._signals, self._before = spaced_betas, signals.tolist(), before.tolist()

    def scale_model_input(self, latents: Tensor, time: Tensor) -> Tensor:
        """They are of unit variance."""
        return latents

    def step(
        self, output: Tensor, time: Tensor, latents: Tensor, generator: Sequence[Any] = (), eta: float = 0.0
    ) -> Step:
        """output: of the network, [N, C or 2 C, h, w]. generator: one per sample. eta: share of fresh noise of DDIM."""
        place = self._places[int(time)]
        moments = self.moments(output, place, latents)
        if self.ancestral:
            return Step(self._ancestral(moments, place, time, latents, generator))
        return Step(self._implicit(moments.foreseen, place, time, latents, generator, eta))

    def moments(self, output: Tensor, place: int, latents: Tensor) -> Moments:
        """Of the pictures before the step at this place of `times`."""
        channels = latents.shape[1]
        signal, before, beta = self._signals[place], self._before[place], float(self.betas[place])
        foreseen = output[:, :channels]
        if self.config.prediction_type == NOISE:
            foreseen = signal**-0.5 * latents - (1 / signal - 1) ** 0.5 * foreseen
        if self.restrict is not None:
            foreseen = self.restrict(foreseen)
        if self.clip:
            foreseen = foreseen.clamp(-1, 1)
        mean = before**0.5 * beta / (1 - signal) * foreseen
        mean = mean + (1 - beta) ** 0.5 * (1 - before) / (1 - signal) * latents
        if not self.learned:
            return Moments(mean, math.log(float(self._large[place])), foreseen)
        small = math.log(float(self._small[place]))
        share = (output[:, channels:] + 1) / 2
        return Moments(mean, share * (math.log(beta) - small) + small, foreseen)

    def _ancestral(
        self, moments: Moments, place: int, time: Tensor, latents: Tensor, generator: Sequence[Any]
    ) -> Tensor:
        """A draw from the Gaussian; where it is steered, from one that lies higher (algorithm 1 of ADM)."""
        mean, spread = moments.mean, _exp(0.5 * moments.log_variance)
        if self.gradient is not None:
            mean = mean + spread * spread * self.gradient(latents, time)
        return mean + spread * self._noise(generator, latents) if place else mean

    def _implicit(
        self, foreseen: Tensor, place: int, time: Tensor, latents: Tensor, generator: Sequence[Any], eta: float
    ) -> Tensor:
        """DDIM; where it is steered, of the noise that the gradient tells (algorithm 2)."""
        signal, before = self._signals[place], self._before[place]
        noise_found = (latents - signal**0.5 * foreseen) / (1 - signal) ** 0.5
        if self.gradient is not None:
            noise_found = noise_found - (1 - signal) ** 0.5 * self.gradient(latents, time)
            foreseen = (latents - (1 - signal) ** 0.5 * noise_found) / signal**0.5
        sigma = eta * ((1 - before) / (1 - signal) * (1 - signal / before)) ** 0.5
        made = before**0.5 * foreseen + (1 - before - sigma**2) ** 0.5 * noise_found
        return made + sigma * self._noise(generator, latents) if sigma and place else made

    def noised(self, clean: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """Pictures with noise, as they are before a step."""
        signal = self._signals[self._places[int(time)]]
        return signal**0.5 * clean + (1 - signal) ** 0.5 * noise

    @staticmethod
    def _noise(generator: Sequence[Any], latents: Tensor) -> Tensor:
        return noise.normal(generator, latents.shape[1:]).to(latents.device)


def _exp(value: Tensor | float) -> Any:
    return value.exp() if isinstance(value, Tensor) else math.exp(value)
