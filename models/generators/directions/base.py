"""Named directions of a latent space: the value that travels between nodes, and the choice of some of them."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import torch

from ...errors import BadInput
from .layer_ranges import numbers_of, written

ALL: Final = "*"
NAMED: Final = 12
"""How many names an error tells."""


class Directions(NamedTuple):
    """names: of N directions. vectors: float32 [N, ...], what strength 1 adds: each of one layer's part of a latent,
    the same for every layer, or of a whole latent.

    space: whose latents they move. layers: those that they move where the user names none; empty for all. identity: of
    the weights that they were made from, empty where nothing tells it.
    """

    names: tuple[str, ...]
    vectors: torch.Tensor
    space: str
    layers: tuple[int, ...] = ()
    identity: str = ""


def chosen(directions: Directions, text: str, what: str = "direction") -> list[int]:
    """The places of those that a text names: by name, with or without what stands in brackets, or by number from 1.

    Names and numbers are separated by commas; `2-4` is a range of numbers, `*` is all.

    Raises:
        BadInput: it names none, or one that is not there.
    """
    count = len(directions.names)
    places = {short(name).lower(): place for place, name in reversed(list(enumerate(directions.names)))}
    found: list[int] = []
    for word in (part.strip() for part in re.split(r"[,;\n]", text)):
        if not word:
            continue
        numbers = range(1, count + 1) if word == ALL else numbers_of(word)
        if short(word).lower() in places:
            found.append(places[short(word).lower()])
        elif numbers and numbers[0] >= 1 and numbers[-1] <= count:
            found += [number - 1 for number in numbers]
        else:
            names = ", ".join(directions.names[:NAMED]) + (", ..." if count > NAMED else "")
            raise BadInput(f"{what}: there is no {word!r}; give a number from 1 to {count}, or one of: {names}.")
    if not found:
        raise BadInput(f"{what}: it is empty; give names or numbers from 1, separated by commas, or * for all.")
    return found


def short(name: str) -> str:
    """A name without what stands in brackets."""
    return re.sub(r"\s*\(.*\)\s*$", "", name).strip()


def summary(directions: Directions, identity: str = "") -> str:
    """Lines of text: what they are of, and their names. identity: of the generator that they are to be used with."""
    where = f", layers {written(directions.layers)}" if directions.layers else ""
    count = len(directions.names)
    lines = [f"{count} direction{'' if count == 1 else 's'} of {directions.space}{where}"]
    if directions.identity and identity and directions.identity != identity:
        lines.append("They were made from other weights, whose fine-tuned copies share them; other models do not.")
    return "\n".join([*lines, *directions.names])
