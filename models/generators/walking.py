"""Ways through latent space, and pictures in the styles of two seeds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import torch

from ..errors import BadInput
from .base import Latents, SampleRequest
from .binding import Bound

SHARE: Final = re.compile(r"\d+\.?\d*|\.\d+", re.ASCII)


def requests_of(bound: Bound, seeds: Sequence[int]) -> list[SampleRequest]:
    """One request for each seed, conditions in turn."""
    conditions = bound.conditions
    return [SampleRequest(index, seed, conditions[index % len(conditions)]) for index, seed in enumerate(seeds)]


def latents_of(bound: Bound, requests: Sequence[SampleRequest]) -> Latents:
    """The latents, [N, ...], that samples of these requests start from."""
    with torch.no_grad():
        return bound.generator.latents(requests, bound.settings)


def gaussian_of(bound: Bound, requests: Sequence[SampleRequest]) -> Latents:
    """The z of these samples: the same latents, but for models that make others of them."""
    with torch.no_grad():
        return bound.generator.gaussian(requests, bound.settings)


def walk(bound: Bound, keys: Latents, frames: int, loop: bool) -> Latents:
    """A way through all of `keys`, [N, ...], that takes `frames` steps from each to the next.

    It begins at the first key and ends at the last: (N - 1) * frames + 1 latents. A loop goes on to the first again
    and ends one step before it: N * frames latents.

    Raises:
        BadInput: fewer than two keys.
    """
    count = len(keys.values)
    if count < 2:
        raise BadInput(f"seeds, images: there is {count} to start from, but a way needs two or more.")
    shares = [step / frames for step in range(frames)]
    ways = [_between(bound, keys, start, start + 1, shares) for start in range(count - 1)]
    ways.append(_between(bound, keys, -1, 0, shares) if loop else _between(bound, keys, -2, -1, [1.0]))
    return ways[0]._replace(values=torch.cat([way.values for way in ways]))


def _between(bound: Bound, keys: Latents, start: int, end: int, shares: Sequence[float]) -> Latents:
    first, last = (keys._replace(values=keys.values[[index]]) for index in (start, end))
    with torch.no_grad():
        return bound.generator.interpolate(first, last, shares)


def read_position(text: str) -> list[float]:
    """Shares separated by commas, blanks or lines, one for each of the first samples; of them 1 together is made.

    Raises:
        BadInput: there are fewer than two, one is no number of 0 or more, or all are 0.
    """
    words = [word for word in re.split(r"[\s,;]+", text) if word]
    wrong = next((word for word in words if not SHARE.fullmatch(word)), None)
    if wrong is not None:
        raise BadInput(f"position: {wrong!r} is no number from 0 on; write, for example, 0.2, 0.5, 0.3.")
    shares = [float(word) for word in words]
    if len(shares) < 2 or not sum(shares):
        raise BadInput(f"position: {text.strip()!r} says nowhere; write two or more shares, such as 0.2, 0.5, 0.3.")
    return [share / sum(shares) for share in shares]


def point(bound: Bound, keys: Latents, shares: Sequence[float]) -> Latents:
    """The one latent, [1, ...], between the first of `keys`, [N, ...], of each so much as its share; they sum to 1.

    From the first a part of the way to the second, from there to the third, and so on, each way as `interpolate` goes:
    on lines that is the weighted mean; on a sphere, as de Casteljau's algorithm there (Shoemake 1985), it depends on
    the order, and is still each key where its share is 1, and the way between two where only theirs are not 0.

    Raises:
        BadInput: more shares than keys.
    """
    count = len(keys.values)
    if len(shares) > count:
        raise BadInput(f"position: it has {len(shares)} shares, but there are {count} seeds, images or latents.")
    reached, total = keys._replace(values=keys.values[:1]), shares[0]
    for index in range(1, len(shares)):
        total += shares[index]
        if shares[index]:
            key = keys._replace(values=keys.values[[index]])
            with torch.no_grad():
                reached = bound.generator.interpolate(reached, key, [shares[index] / total])
    return reached


def mix(bound: Bound, coarse: Latents, fine: Latents, crossover: int) -> Latents:
    """Every pair of R coarse and C fine latents: [R * C, ...], the fine one changing first."""
    rows, columns = len(coarse.values), len(fine.values)
    with torch.no_grad():
        return bound.generator.style_mix(
            coarse._replace(values=coarse.values.repeat_interleave(columns, dim=0)),
            fine._replace(values=fine.values.repeat(rows, *[1] * (fine.values.ndim - 1))),
            crossover,
        )
