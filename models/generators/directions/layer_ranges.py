"""Layers as users write them: `0-3, 8`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...errors import BadInput


def read_layers(text: str, count: int, what: str = "layers") -> tuple[int, ...]:
    """The layers that a text names, ascending, each once; empty where it is empty.

    count: of the model's layers, numbered from 0, coarse to fine; 0 where its latents have none.

    Raises:
        BadInput: a word is no number or range, a layer is not there, or the latents have none.
    """
    words = [word for word in re.split(r"[,;\s]+", re.sub(r"\s*-\s*", "-", text.strip())) if word]
    if words and not count:
        raise BadInput(f"{what}: these latents have no layers; leave it empty.")
    found: set[int] = set()
    for word in words:
        numbers = numbers_of(word)
        if not numbers:
            raise BadInput(f"{what}: {word!r} is no layer or range of layers; write, for example, 0-3, 8.")
        if numbers[-1] >= count:
            raise BadInput(f"{what}: {word!r} goes beyond the model's layers, 0 to {count - 1}.")
        found |= set(numbers)
    return tuple(sorted(found))


def numbers_of(word: str) -> range:
    """The whole numbers of `3`, or of `3-5`, both ends included; none where it is neither."""
    match = re.fullmatch(r"([0-9]{1,9})(?:\s*-\s*([0-9]{1,9}))?", word)
    return range(int(match[1]), int(match[2] or match[1]) + 1) if match else range(0)


def written(layers: Sequence[int]) -> str:
    """Ascending layers as a user would write them: `0-3, 8`."""
    runs: list[list[int]] = []
    for layer in layers:
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
