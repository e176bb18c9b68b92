"""What the name of a network in a checkpoint says of it: averaged, the generator, a critic, a thing of the training."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum, auto
from functools import lru_cache
from typing import Final


class Role(Enum):
    """What a network was in its training."""

    AVERAGED = auto()
    GENERATOR = auto()
    CRITIC = auto()
    METRIC = auto()
    TRAINING = auto()
    """An optimiser's state and the like: no network."""


WORDS: Final = {
    Role.AVERAGED: {"ema", "emas", "averaged", "average", "avg", "shadow", "swa", "polyak", "smooth", "smoothed", "gs"},
    Role.GENERATOR: {"g", "gs", "gen", "generator", "generators", "netg"},
    Role.CRITIC: {"d", "dis", "disc", "discriminator", "discriminators", "critic", "critics", "netd"},
    Role.METRIC: {
        *("metric", "metrics", "fid", "kid", "inception", "lpips", "vgg", "perceptual", "loss", "losses"),
        *("criterion", "ssim", "psnr"),
    },
    Role.TRAINING: {
        *("optimizer", "optimizers", "optimiser", "optimisers", "optim", "optims", "opt", "opts"),
        *("scheduler", "schedulers", "scaler", "rng", "adam"),
    },
}
COMPANY: Final = frozenset(
    {
        *("g", "d", "net", "network", "model", "module", "state", "dict", "params", "parameters", "weights", "running"),
        *("last", "best", "final", *WORDS[Role.AVERAGED]),
    }
)
"""Words beside which a single letter stands for a network, as in netG or D_state_dict; in conv2d it does not."""
RUNNING: Final = "running"
"""Of a generator, its average (g_running); elsewhere a batch norm's statistics."""

CURRENT: Final = (
    *("state_dict", "model_state_dict", "model_state", "model", "params", "generator", "netG", "G", "g", "module"),
    *("net", "network", "weights"),
)
"""Names of weights as they were at the end, in the order in which they are preferred."""


def words(name: str) -> list[str]:
    """The words of a name in lower case: netG_ema is net, g, ema."""
    return [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]


def roles(path: Sequence[str]) -> frozenset[Role]:
    """All that the names on the way to a network say of it."""
    return frozenset(role for name in path for role in _roles(name))


@lru_cache(maxsize=4096)
def _roles(name: str) -> frozenset[Role]:
    found = words(name)
    spoken = set(found) if COMPANY.issuperset(found) else {word for word in found if len(word) > 1}
    told = {role for role, known in WORDS.items() if spoken & known}
    if Role.GENERATOR in told and RUNNING in spoken:
        told.add(Role.AVERAGED)
    return frozenset(told)
