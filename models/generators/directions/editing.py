"""Latents moved along directions."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch

from ...errors import BadInput
from ..base import Generator, Latents
from .base import Directions, chosen, short
from .layer_ranges import read_layers

STRENGTH: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)", re.ASCII)


def edit(
    generator: Generator,
    latents: Latents,
    directions: Directions,
    places: Sequence[int],
    strengths: Sequence[float],
    layers: str,
    options: Mapping[str, Any],
) -> Latents:
    """Every latent by every direction of `places` and every strength, the strengths changing first: [N * D * S, ...].

    They are settled first: what is added is no longer truncated. Layers that are not moved stay as they are, bit for
    bit. layers: as text; empty for those of the directions.

    Raises:
        BadInput: the latents belong to another model or another space, or have other sizes or layers.
    """
    space = generator.space_of(latents)
    if directions.space != space.name:
        raise BadInput(
            f"directions: they are of {directions.space}, but the latents are in {space.name}; draw the latents in "
            f"{directions.space}, or take other directions."
        )
    moved = read_layers(layers, space.layers) or directions.layers
    latents = generator.settled(latents, options)
    values = latents.values
    shape, given = tuple(values.shape[1:]), tuple(directions.vectors.shape[1:])
    whole = given == shape
    if not whole and not (space.layers and given == shape[1:]):
        raise BadInput(
            f"directions: each has {_times(given)} numbers; latents of {generator.descriptor.architecture} have "
            f"{_times(shape)} in {space.name}. Take directions that were made for this model."
        )
    if moved and moved[-1] >= max(space.layers, 1):
        raise BadInput(
            f"directions: they move layers up to {moved[-1]}, but this model's end at {space.layers - 1}; name others "
            "in layers."
        )
    vectors = directions.vectors[list(places)]
    steps = torch.tensor(strengths, dtype=torch.float32).view(-1, *[1] * len(given))
    changes = vectors[:, None] * steps  # [D, S, ...]
    results = values[:, None, None].repeat(1, len(vectors), len(steps), *[1] * len(shape))
    if not space.layers:
        results += changes
    else:
        rows = list(moved) or list(range(space.layers))
        results[:, :, :, rows] += changes[:, :, rows] if whole else changes[:, :, None]
    return latents._replace(values=results.flatten(0, 2))


def read_strengths(text: str) -> list[float]:
    """Numbers separated by commas, blanks or lines.

    Raises:
        BadInput: there is none, or one is no number.
    """
    words = [word for word in re.split(r"[\s,;]+", text) if word]
    if not words:
        raise BadInput("strengths: it is empty; write numbers separated by commas, such as -2, 0, 2.")
    found = []
    for word in words:
        try:
            found.append(float(word))
        except ValueError:
            raise BadInput(f"strengths: {word!r} is no number; write, for example, -2, 0, 2.") from None
        if not math.isfinite(found[-1]):
            raise BadInput(f"strengths: {word!r} is no number to move by; write, for example, -2, 0, 2.")
    return found


def read_mix(directions: Directions, text: str) -> dict[int, float]:
    """How far to move along each direction at once, by its place: `age: 1.5, sefa 2: -1`, separated by commas or lines.

    Names are those of `chosen`, a range or * too; of one that is named again the last counts.

    Raises:
        BadInput: an entry is not a name, a colon and a number, or the direction is not there.
    """
    found: dict[int, float] = {}
    for entry in (part.strip() for part in re.split(r"[,;\n]", text)):
        name, _, strength = entry.rpartition(":")
        if not entry:
            continue
        if not name.strip() or not STRENGTH.fullmatch(strength.strip()):
            raise BadInput(f"mix: {entry!r} is no direction with its strength; write, for example, age: 1.5, 2: -1.")
        found |= dict.fromkeys(chosen(directions, name, "mix"), float(strength))
    if not found:
        raise BadInput("mix: it names no direction; write, for example, age: 1.5, 2: -1.")
    return found


def mixed(directions: Directions, strengths: Mapping[int, float]) -> Directions:
    """The one direction that moves along several at once, each by its strength: by place, as in `read_mix`."""
    vectors = directions.vectors[list(strengths)]
    steps = torch.tensor(list(strengths.values()), dtype=torch.float32).view(-1, *[1] * (vectors.ndim - 1))
    return directions._replace(
        names=(mix_label(directions, strengths),), vectors=(vectors * steps).sum(0, keepdim=True)
    )


def mix_label(directions: Directions, strengths: Mapping[int, float]) -> str:
    """`age: +1.5, sefa 2: -1`."""
    return ", ".join(labels([short(directions.names[place])], [step], 1) for place, step in strengths.items())


def labels(names: Sequence[str], strengths: Sequence[float], count: int) -> str:
    """A line for each latent that `edit` makes of `count` latents: the direction, and how far."""
    lines = [f"{name}: {strength:+g}" if strength else f"{name}: 0" for name in names for strength in strengths]
    return "\n".join(lines * count)


def _times(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
