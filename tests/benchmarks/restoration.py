"""Restore Unedited over a hundred drifts drawn at random: how exactly it finds them, how visible its borders are."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from trilemma.models.pictures.restoration.placement import sample
from trilemma.models.pictures.restoration.registration import register
from trilemma.models.pictures.restoration.restoring import restore
from trilemma.models.pictures.seam import seam_score
from trilemma.tests.pictures.restoration.drifts import drift, shift_error

DRIFTS: Final = 100
SIZE: Final = (128, 160)
OFF_AT_MOST: Final = 0.1
SEAM_AT_MOST: Final = 0.5


class Worst(NamedTuple):
    """mean, worst: of all drifts."""

    mean: float
    worst: float

    @property
    def ratio(self) -> float:
        """What is held to the promise."""
        return self.worst


def seams(seed: int, masked: bool) -> float:
    """The seam score of a restored picture, as a share of that of the edit pasted as it is under the same mask."""
    given = drift(seed, *SIZE)
    original, edited = (picture.movedim(0, -1) for picture in (given.original, given.edited))
    mask = F.max_pool2d(given.changed[None].float(), 7, 1, 3) if masked else None
    done = restore(original[None], edited[None], mask)
    outside = done.masks[0] == 0
    assert torch.equal(done.images[0][outside], original[outside])
    pasted = torch.where(outside[..., None], original, sample(given.edited, *SIZE).movedim(0, -1))
    return done.seams[0] / seam_score(original, pasted, (~outside).float())


def shifts(seed: int) -> float:
    """Pixels by which the shift is missed."""
    given = drift(seed, *SIZE)
    return shift_error(register(given.original, given.edited), given.place)


def rows(drifts: int = DRIFTS) -> list[tuple[str, Worst, float]]:
    """What is measured over all drifts, and how large the worst may be."""
    measured = [
        ("shift, pixels off", [shifts(seed) for seed in range(drifts)], OFF_AT_MOST),
        ("seam, the change found, of a plain paste's", [seams(seed, False) for seed in range(drifts)], SEAM_AT_MOST),
        ("seam, under a mask, of a plain paste's", [seams(seed, True) for seed in range(drifts)], SEAM_AT_MOST),
    ]
    return [(what, Worst(sum(values) / len(values), max(values)), most) for what, values, most in measured]
