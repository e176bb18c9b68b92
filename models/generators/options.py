"""The options that can be bound to a generator: their meaning, their range, and the value that changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from ..diffusion.samplers import NAMES, OWN, SPACINGS
from ..errors import BadInput, CannotDo
from .base import Descriptor, FamilyName
from .vae.priors import FITTED, STANDARD


class Option(NamedTuple):
    """neutral: the value that leaves the model as it is, and that every model of the family accepts; None where no
    value does.

    low, high: range of a number, both included. choices: of a text; a model may know fewer. free: a text that the model
    reads. step: between neighbours on the page.
    """

    neutral: Any
    low: float = 0.0
    high: float = 0.0
    choices: Sequence[str] = ()
    free: bool = False
    step: float = 0.01


CRITIC: Final = {
    # Of a guided generator: no value leaves it as it is, for 0 leaves its critic out.
    "critic_strength": Option(None, 0.0, 10_000.0),
    # Of Adam on its latents.
    "critic_steps": Option(None, 1, 10_000),
}

OPTIONS: Final[Mapping[FamilyName, Mapping[str, Option]]] = {
    "gan": {
        # Pull of the latent towards its mean, and the number of layers that are pulled (0: all).
        "truncation_psi": Option(1.0, 0.0, 2.0),
        "truncation_cutoff": Option(0, 0, 64),
        "noise_mode": Option(OWN, choices=(OWN, "const", "random", "none")),
        # Whose random numbers z is of.
        "seeding": Option(OWN, choices=(OWN, "numpy", "torch")),
        # Motion of the picture: shares of its side to the right and downwards, degrees.
        "translate_x": Option(0.0, -2.0, 2.0),
        "translate_y": Option(0.0, -2.0, 2.0),
        "rotation": Option(0.0, -360.0, 360.0),
        **CRITIC,
    },
    "vae": {
        # Standard deviation of the latents relative to their prior's. A fitted prior is bound as the `Prior` it is.
        "temperature": Option(1.0, 0.0, 2.0),
        "prior": Option(OWN, choices=(OWN, STANDARD, *FITTED)),
        **CRITIC,
    },
    "autoregressive": {
        # Of the softmax, and what is kept of it: the k likeliest codes (0: all), the likeliest that sum up to p.
        "temperature": Option(1.0, 0.01, 4.0),
        "top_k": Option(0, 0, 2**20),
        "top_p": Option(1.0, 0.0, 1.0),
        **CRITIC,
    },
    "diffusion": {
        # Steps and guidance: 0 is the model's own. eta: DDIM's share of fresh noise.
        "sampler": Option(OWN, choices=NAMES),
        "steps": Option(0, 0, 1000),
        "eta": Option(0.0, 0.0, 1.0),
        "guidance_scale": Option(0.0, 0.0, 30.0),
        # Of the time steps.
        "spacing": Option(OWN, choices=(OWN, *SPACINGS)),
        # The same in guided diffusion's words, which tell the number of steps too; empty for none.
        "respacing": Option("", free=True),
        "critic_strength": CRITIC["critic_strength"],
        # Of a classifier from outside: 0 leaves it out, -1 takes what was set where it was connected.
        "classifier_scale": Option(-1.0, -1.0, 100.0),
        # EDM's levels of noise and how they are spaced, and the noise that its steps put back: -1 is the model's own.
        "sigma_min": Option(-1.0, -1.0, 1000.0, step=0.001),
        "sigma_max": Option(-1.0, -1.0, 1000.0),
        "rho": Option(-1.0, -1.0, 100.0),
        "s_churn": Option(-1.0, -1.0, 1000.0),
        "s_tmin": Option(-1.0, -1.0, 1000.0),
        "s_tmax": Option(-1.0, -1.0, 1000.0),
        "s_noise": Option(-1.0, -1.0, 10.0, step=0.001),
    },
}


def checked(descriptor: Descriptor, family: FamilyName, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `values`, options of a family, that change the generator.

    Raises:
        CannotDo: the generator is of another family, or has no such option; names those it has.
        BadInput: a value outside its range.
    """
    known = f"Its options: {', '.join(descriptor.options) or 'none'}."
    if descriptor.family != family:
        raise CannotDo(
            f"generator: these are options of {family} models; {descriptor.architecture} is of the family "
            f"{descriptor.family}. {known}"
        )
    changed = {}
    for name, value in values.items():
        option = OPTIONS[family][name]
        named = getattr(value, "kind", value)  # of a prior
        if option.choices and named not in option.choices:
            raise BadInput(f"{name}: {named!r} is none of {', '.join(option.choices)}.")
        if option.choices and value in FITTED:
            raise BadInput(f"{name}: a {value} is fitted over images, but there are none; connect some.")
        if not option.choices and not option.free and not option.low <= value <= option.high:
            raise BadInput(f"{name}: {value} is outside its range, {option.low:g} to {option.high:g}.")
        if value == option.neutral:
            continue
        if name not in descriptor.options:
            raise CannotDo(
                f"{name}: {descriptor.architecture} has no such option; set it to {option.neutral!r}. {known}"
            )
        changed[name] = value
    return changed
