"""Samplers of diffusion models: the names under which users know them, and the schedulers of diffusers behind them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import torch

from ..errors import BadInput, CannotDo
from .networks import accepted

OWN: Final = "model's own"

SAMPLERS: Final[Mapping[str, str]] = {
    "DDPM": "DDPMScheduler",
    "DDIM": "DDIMScheduler",
    "Euler": "EulerDiscreteScheduler",
    "Euler ancestral": "EulerAncestralDiscreteScheduler",
    "DPM-Solver++ 2M": "DPMSolverMultistepScheduler",
}
"""Public names, for ever, and the classes of diffusers behind them."""

NAMES: Final = (OWN, *SAMPLERS)
"""What every list of samplers offers."""

SPACINGS: Final = ("leading", "linspace", "trailing")
"""How time steps lie in those of the training (Lin et al., 2024, arXiv 2305.08891, table 2)."""

NEAR: Final = 0.7
"""Share of the trained time steps; a way that begins below it begins with noise that the model takes for a picture."""

MAX_TRAINED: Final = 1_000_000
"""Steps of a training, of which a scheduler keeps several tables."""

DETERMINISTIC: Final = ("DDIM", "Euler", "DPM-Solver++ 2M")
"""Those that draw no noise in their steps, with eta 0."""

SUPPORTED: Final = (
    *SAMPLERS.values(),
    "HeunDiscreteScheduler",
    "LMSDiscreteScheduler",
    "PNDMScheduler",
    "UniPCMultistepScheduler",
)
"""Classes that a model folder may name as its own."""


def own_sampler(config: Mapping[str, Any]) -> str:
    """The public name of a model's own scheduler; one that has none is the "model's own"."""
    return next((name for name, scheduler in SAMPLERS.items() if scheduler == config["_class_name"]), OWN)


def check(config: Mapping[str, Any]) -> None:
    """Build the scheduler of a configuration, its class under `_class_name`, for one step.

    Raises:
        ValueError: it was trained with no number of steps that could be.
        Exception: whatever diffusers makes of other values.
    """
    import diffusers

    steps = config.get("num_train_timesteps", 1)
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= MAX_TRAINED:
        raise ValueError(f"num_train_timesteps is {steps!r}")
    made = getattr(diffusers, config["_class_name"])
    made(**accepted(made, config)).set_timesteps(1)


class Schedule(NamedTuple):
    """A way from noise to a sample. It keeps state between steps, so it serves one run.

    scheduler: of diffusers. times: [T] of all network calls; some schedulers call more than once per step.
    """

    scheduler: Any
    times: torch.Tensor

    def start(self, noise: torch.Tensor, original: torch.Tensor | None = None) -> torch.Tensor:
        """Latents to begin with, of standard normal noise [N, C, h, w], or of the original's latents with noise."""
        if original is None:
            return noise * self.scheduler.init_noise_sigma
        return self.noised(original, noise, 0)

    def noised(self, original: torch.Tensor, noise: torch.Tensor, call: int) -> torch.Tensor:
        """Latents as they are before a network call, the original's signal with that time's noise; after the last
        call without any."""
        if call == len(self.times):
            return original
        return self.scheduler.add_noise(original, noise, self.times[call : call + 1])


def schedule(
    config: Mapping[str, Any],
    sampler: str,
    steps: int,
    eta: float = 0.0,
    strength: float = 1.0,
    device: torch.device | str = "cpu",
    spacing: str = OWN,
) -> Schedule:
    """The schedule of a sampler, one of NAMES, with a model's noise schedule, which all samplers share.

    config: of the model's own scheduler, its class under `_class_name`. eta: DDIM's share of fresh noise. strength:
    share of the steps to run, the last ones. spacing: one of SPACINGS, or the model's own.

    Raises:
        BadInput: fewer steps than one, more than the model was trained with, or so many that they would begin far from
            the noise; a strength out of range.
        CannotDo: eta for another sampler than DDIM.
    """
    import diffusers

    name: str = SAMPLERS[sampler] if sampler in SAMPLERS else config["_class_name"]
    check_eta(eta, _public_name(name), name == SAMPLERS["DDIM"])
    taken = effective_steps(steps, strength)
    made = getattr(diffusers, name)
    scheduler = made(**_settings(made, config, spacing))
    most = scheduler.config.num_train_timesteps
    check_steps(steps, most)
    scheduler.set_timesteps(steps, device=device)
    _check_beginning(scheduler, steps)
    skipped = (steps - taken) * scheduler.order
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(skipped)
    return Schedule(scheduler, scheduler.timesteps[skipped:])


def _settings(made: type, config: Mapping[str, Any], spacing: str) -> dict[str, Any]:
    """Those of a scheduler of this class with a model's noise schedule."""
    import diffusers

    settings = accepted(made, config)
    own = inspect.signature(getattr(diffusers, config["_class_name"])).parameters
    if "clip_sample" not in own:
        # By default DDPM and DDIM clip, which a model whose own scheduler cannot was not made for.
        settings = (
            {"clip_sample": False, **settings} if "clip_sample" in inspect.signature(made).parameters else settings
        )
    return settings if spacing == OWN else {**settings, "timestep_spacing": spacing}


def check_eta(eta: float, sampler: str, takes: bool) -> None:
    """Raise CannotDo for a share of fresh noise where the sampler does not take one."""
    if eta and not takes:
        raise CannotDo(
            f"eta: {eta:g} is the share of fresh noise in DDIM's steps, and {sampler} has none; set it to 0, or "
            "sampler to DDIM."
        )


def check_steps(steps: int, trained: int) -> None:
    """Raise BadInput for none, or more than there are."""
    if not 1 <= steps <= trained:
        side = "below the least possible, 1" if steps < 1 else f"more than the model was trained with, {trained}"
        raise BadInput(f"steps: {steps} is {side}.")


def check_beginning(first: float, steps: int, trained: int, spacing: str, first_of: Callable[[int], float]) -> None:
    """Raise BadInput where rounding lets the steps begin far from the noise.

    "leading" takes every (trained // steps)-th time step, from the first on: 600 of 1,000 are the first 600. first: the
    time step that they begin with. first_of: that of so many steps.
    """
    if _begins_near_noise(first, steps, trained):
        return
    fewer = next((each for each in range(steps - 1, 0, -1) if _begins_near_noise(first_of(each), each, trained)), 1)
    raise BadInput(
        f"steps: {steps} of the {trained} that the model was trained with, spaced '{spacing}', begin at step "
        f"{first:.0f}, where the model expects half a picture, but samples begin with pure noise. Take {fewer} steps, "
        "or in Diffusion Options set spacing to trailing."
    )


def _check_beginning(scheduler: Any, steps: int) -> None:
    """`check_beginning` of a scheduler of diffusers with so many steps set."""

    def first_of(fewer: int) -> float:
        scheduler.set_timesteps(fewer)
        return float(scheduler.timesteps[0])

    config = scheduler.config
    first = float(scheduler.timesteps[0])
    check_beginning(first, steps, config.num_train_timesteps, config.timestep_spacing, first_of)


def _begins_near_noise(first: float, steps: int, trained: int) -> bool:
    last = trained - 1
    return first >= NEAR * last or 0 < last - first <= trained // steps


def _public_name(scheduler: str) -> str:
    return next((name for name, known in SAMPLERS.items() if known == scheduler), str(scheduler))


def effective_steps(steps: int, strength: float) -> int:
    """Steps that a run of this strength really takes.

    Raises:
        BadInput: none, or a strength outside 0..1.
    """
    if steps < 1:
        raise BadInput(f"steps: {steps} is below the least possible, 1.")
    if not 0 < strength <= 1:
        raise BadInput(f"strength: {strength:g} is outside its range, above 0 and up to 1.")
    taken = min(int(steps * strength), steps)
    if taken < 1:
        raise BadInput(
            f"strength: {strength:g} of {steps} steps leaves none to run; raise strength to {1 / steps:.3g} or more, "
            "or take more steps."
        )
    return taken


def moved(scheduler: Any, output: torch.Tensor, time: torch.Tensor, derivative: torch.Tensor) -> torch.Tensor:
    """A network's output with its noise moved along the derivative of a loss by the noised latents: by sqrt(1 - a)
    times it, as for log p of a classifier against it; a as in `foresee`."""
    alpha = scheduler.alphas_cumprod[round(float(time))].to(output.device)
    factor = (1 - alpha).sqrt()
    if scheduler.config.prediction_type == "v_prediction":
        factor = factor / alpha.sqrt()
    if scheduler.config.prediction_type == "sample":
        factor = -factor * factor / alpha.sqrt()
    own, variances = output.tensor_split((derivative.shape[1],), dim=1)
    return torch.cat([own + factor * derivative, variances], dim=1)


def foresee(scheduler: Any, output: torch.Tensor, time: torch.Tensor, scaled: torch.Tensor) -> torch.Tensor:
    """The noise-free latents that a network's output foresees.

    scaled: the latents as the network saw them, of unit variance: sqrt(a) x0 + sqrt(1 - a) noise, a the scheduler's
    cumulative alpha at `time` (Ho et al., 2020, eq. 15; for velocities Salimans and Ho, 2022, appendix D).
    """
    alpha = scheduler.alphas_cumprod[round(float(time))].to(scaled.device)
    # What a network gives beside it are variances.
    output = output[:, : scaled.shape[1]]
    if scheduler.config.prediction_type == "v_prediction":
        return alpha.sqrt() * scaled - (1 - alpha).sqrt() * output
    if scheduler.config.prediction_type == "sample":
        return output
    return (scaled - (1 - alpha).sqrt() * output) / alpha.sqrt()
