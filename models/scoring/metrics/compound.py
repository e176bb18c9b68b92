"""Compound FID (Nunn, Khadivi, Samavi 2021, arXiv 2106.08575): the Fréchet distance at several depths of a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from ...errors import BadInput
from ..scores import Score
from .spatial import SPATIAL

if TYPE_CHECKING:
    from ..set_pair import SetPair

FID_SIZE: Final = 2048
"""Dimensions of FID's own features, to which the distances of the other depths are scaled."""


class CompoundDistance(NamedTuple):
    """value: the largest of `levels`. levels: the scaled distance at each depth, in the order given."""

    value: float
    levels: tuple[float, ...]


def compound_distance(distances: Sequence[float], sizes: Sequence[int], target: int = FID_SIZE) -> CompoundDistance:
    """max_i CFID_i, CFID_i = distance_i * target / size_i (the paper's equations 4 and 5).

    The paper takes Inception's first and second max-pooling, flattened (64 x 73 x 73 and 192 x 35 x 35), and its
    average pooling, 2048, whose CFID is FID itself; each score is scaled by the ratio of features to 2048. Of taps
    that are averaged over space (64, 192, 2048) the formula is the same and the numbers are others: such results
    compare only with each other.

    distances: Fréchet distances at each depth. sizes: dimensions of the features there. target: dimensions that all
    are scaled to, those of the last layer, for a network other than Inception.

    Raises:
        BadInput: no distances, or another number of sizes.
    """
    if not distances or len(distances) != len(sizes):
        raise BadInput(f"distances: {len(distances)} with {len(sizes)} sizes; give one size for each, at least one.")
    levels = tuple(distance * target / size for distance, size in zip(distances, sizes, strict=True))
    return CompoundDistance(max(levels), levels)


def score_compound_fid(pair: SetPair) -> Score | None:
    """Of all taps but sFID's; None where the two sets share but one."""
    depths = [ours.name for ours, _ in pair.taps if ours.name != SPATIAL]
    if len(depths) < 2:
        return None
    sizes = [pair.size_at(depth) for depth in depths]
    found = compound_distance([pair.distance_at(depth) for depth in depths], sizes, target=sizes[0])
    levels = ", ".join(f"{depth}: {level:.6g}" for depth, level in zip(depths, found.levels, strict=True))
    return Score("compound_fid", found.value, note=f"the largest of {levels}")
