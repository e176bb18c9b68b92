"""How pictures came about: of models that draw in stages each stage, and where each word counted."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from ..pictures.grids import Row, Theme, grid
from ..pictures.resizing import enlarge
from ..steps import OnStep, quiet
from . import noise
from .base import Look
from .binding import Bound
from .records import remarks

CELL = 128
"""Side of a picture in the overview, pixels."""
MOST_ROWS = 100
"""Of the overview."""
SHADE = 0.2
"""Brightness that stays in the overview where a word does not count."""


@torch.no_grad()
def looks(bound: Bound, count: int, seed: int, batch_size: int, on_step: OnStep = quiet) -> list[Look]:
    """Of the first samples of the run with this seed. on_step: counts samples.

    Raises:
        CannotDo: the model draws at once.
    """
    requests = noise.requests(count, seed, bound.conditions)
    found: list[Look] = []
    for start in range(0, count, batch_size):
        found += bound.generator.looks(requests[start : start + batch_size], bound.settings)
        on_step(len(found), found[-1].pictures[-1])
    return found


def stages(found: Sequence[Look]) -> torch.Tensor:
    """float32 [N * S, H, W, 3]: each sample's stages from coarse to fine, the small ones with larger pixels."""
    side = found[0].pictures[-1].shape[0]
    return torch.stack([enlarge(picture, side // picture.shape[0]) for look in found for picture in look.pictures])


def maps(found: Sequence[Look]) -> torch.Tensor:
    """float32 [K, H, W], 0..1, of the result's size: each sample's maps, in the order of `report`."""
    height, width = found[0].pictures[-1].shape[:2]
    drawn = [_fitted(each.values, height, width) for look in found for each in look.maps]
    return torch.stack(drawn) if drawn else torch.zeros(0, height, width)


def overview(found: Sequence[Look], theme: Theme) -> torch.Tensor:
    """One picture [1, H, W, 3]: for each sample its stages, and below them the result where each word counts, a column
    for each stage. Of many samples the first are shown."""
    rows: list[Row] = []
    for number, look in enumerate(found):
        own = [Row(f"{number}: {look.title}".strip(": "), stages([look])), *_words(look)]
        if rows and len(rows) + len(own) > MOST_ROWS:
            break
        rows += own
    return grid(rows, cell_size=CELL, theme=theme)


def _words(look: Look) -> list[Row]:
    """The result, dark where a word does not count: a row for each word."""
    result = look.pictures[-1]
    shown: dict[tuple[str, int], list[torch.Tensor]] = {}
    for place, each in enumerate(look.maps):
        # A sentence may have a word twice.
        before = sum(other.label == each.label for other in look.maps[:place])
        lit = _fitted(each.values / each.values.max().clamp(min=1e-6), *result.shape[:2])
        key = (each.label.rpartition(", ")[0], before)
        shown.setdefault(key, []).append(result * (SHADE + (1 - SHADE) * lit[..., None]))
    return [Row(word, torch.stack(pictures)) for (word, _), pictures in shown.items()]


def report(bound: Bound, found: Sequence[Look]) -> str:
    """For each sample what it shows and the sides of its stages; what each map is of, by its number; unknown words."""
    lines, number = [], 0
    for index, look in enumerate(found):
        sides = ", ".join(f"{picture.shape[1]} x {picture.shape[0]}" for picture in look.pictures)
        lines.append(f"image {index}: {look.title or 'without a sentence'}; stages {sides}")
        for each in look.maps:
            lines.append(f"  map {number}: {each.label}")
            number += 1
    return "\n".join(filter(None, [*lines, remarks(bound)]))


def _fitted(values: torch.Tensor, height: int, width: int) -> torch.Tensor:
    return F.interpolate(values[None, None], (height, width), mode="bilinear").clamp(0, 1)[0, 0]
