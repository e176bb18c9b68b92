"""The parts of a mask that hang together, by sides or corners, each by itself."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from .runs import Edges, Runs, above, components, find_runs, paint_runs


class Island(NamedTuple):
    """rows, columns: its tight bounds. pixels: bool [h, w], the island within them, and no other one."""

    rows: slice
    columns: slice
    pixels: torch.Tensor


def islands(region: torch.Tensor) -> list[Island]:
    """Of a bool region [H, W], in reading order of their first pixels."""
    runs, part = connected(region.cpu().numpy())
    numbers = np.where(runs.value, part + 1, 0)
    labels = paint_runs(runs, numbers)
    width = labels.shape[1]
    found = []
    own = numbers[runs.value]
    first_seen = own[np.sort(np.unique(own, return_index=True)[1])]
    order = np.argsort(numbers, kind="stable")
    begins, ends = (np.searchsorted(numbers[order], first_seen, side) for side in ("left", "right"))
    for number, begin, end in zip(first_seen, begins, ends, strict=True):
        members = order[begin:end]
        rows, left, right = runs.first[members] // width, runs.first[members] % width, runs.last[members] % width
        window = slice(int(rows.min()), int(rows.max()) + 1), slice(int(left.min()), int(right.max()) + 1)
        found.append(Island(*window, torch.from_numpy(labels[window] == number).to(region.device)))
    return found


def connected(pixels: np.ndarray) -> tuple[Runs, np.ndarray]:
    """The runs of a bool image [H, W], and for each the number of the part that it hangs together with."""
    runs = find_runs(pixels)
    pairs = above(runs, corners=True)
    solid = runs.value[pairs.a] & runs.value[pairs.b]
    return runs, components(len(runs.value), Edges(pairs.a[solid], pairs.b[solid]))
