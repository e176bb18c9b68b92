"""sFID (Nash et al. 2021): the Fréchet distance of features that know where in the picture they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..scores import Score

if TYPE_CHECKING:
    from ..set_pair import SetPair

SPATIAL: Final = "spatial"
"""Name of its tap. All others together, where there are several, are the depths of Compound FID."""


def score_sfid(pair: SetPair) -> Score | None:
    """None where not both sets have the tap."""
    shared = SPATIAL in {ours.name for ours, _ in pair.taps}
    return Score("sfid", pair.distance_at(SPATIAL)) if shared else None
