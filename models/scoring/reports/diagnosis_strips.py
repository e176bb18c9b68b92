"""The samples that a diagnosis suspects most, each above the picture that it is suspected for."""

from __future__ import annotations

import torch

from ...pictures.grids import Row, Theme, grid
from ..diagnosis.failures import COPY, Diagnosis, Seen
from ..diagnosis.observation import Run


def nearest_strip(
    found: Diagnosis, generated: Run, reference: Run, seen: Seen, shown: int, theme: Theme = "light"
) -> torch.Tensor:
    """The samples with the smallest ratios of distances, and the reference pictures next to them: [1, H, W, 3], 0..1.

    seen: the reference as the diagnosis knew it. shown: how many samples.
    """
    order = found.ratios.argsort()[:shown].tolist()
    pictures = reference.draw_again([seen.numbers[int(found.nearest[place])] for place in order])
    labels = [f"{float(found.ratios[place]):.2f}{' copy' if found.ratios[place] < COPY else ''}" for place in order]
    return grid([Row("sample", generated.draw_again(order)), Row("nearest reference", pictures)], labels, theme=theme)


def duplicate_strip(found: Diagnosis, generated: Run, shown: int, theme: Theme = "light") -> torch.Tensor:
    """The samples that are nearest to another one, that one beneath: [1, H, W, 3], 0..1.

    A pair of samples that are nearest to each other is shown once.
    """
    pairs: dict[frozenset[int], tuple[int, int]] = {}
    for place in found.twin_distances.argsort().tolist():
        pair = (place, int(found.twins[place]))
        pairs.setdefault(frozenset(pair), pair)
    chosen = list(pairs.values())[:shown]
    limit = found.duplicate_distance
    labels = [f"{float(found.twin_distances[place]) / limit:.2f}" if limit else "" for place, _ in chosen]
    rows = [
        Row(name, generated.draw_again(column))
        for name, column in zip(("sample", "nearest sample"), zip(*chosen, strict=True), strict=True)
    ]
    return grid(rows, labels, theme=theme)
