"""Images as runs: pixels of one row, side by side, of one value; their graph, its components and flood levels.

A mask of 1024 x 1024 pixels has a million pixels but only some thousand runs. Everything here works on whole arrays
of runs, in a number of rounds that grows with the logarithm of their number.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Runs(NamedTuple):
    """The N runs of an image in reading order; they cover it.

    first, last: int32 [N], flat indices of each run's first and last pixel. value: [N]. shape: height, width.
    """

    first: np.ndarray
    last: np.ndarray
    value: np.ndarray
    shape: tuple[int, int]


class Edges(NamedTuple):
    """Pairs of touching runs, int32 [E] each."""

    a: np.ndarray
    b: np.ndarray


def find_runs(image: np.ndarray) -> Runs:
    """The runs of an image [H, W] of any dtype."""
    starts = np.ones(image.shape, dtype=bool)
    np.not_equal(image[:, 1:], image[:, :-1], out=starts[:, 1:])
    first = np.flatnonzero(starts).astype(np.int32)
    last = np.append(first[1:], np.int32(image.size)) - np.int32(1)
    return Runs(first, last, image.ravel()[first], image.shape)


def paint_runs(runs: Runs, values: np.ndarray) -> np.ndarray:
    """The image [H, W] in which each run has its entry of `values`."""
    return np.repeat(values, runs.last - runs.first + 1).reshape(runs.shape)


def beside(runs: Runs) -> Edges:
    """Runs that follow each other in one row."""
    right = np.flatnonzero(runs.first % runs.shape[1]).astype(np.int32)
    return Edges(right - 1, right)


def above(runs: Runs, corners: bool) -> Edges:
    """Runs (upper, lower) in adjacent rows that touch by an edge or, with `corners`, at least by a corner."""
    height, width = runs.shape
    upper = np.searchsorted(runs.first, (height - 1) * width)
    row = runs.first[:upper] // width * width
    reach = int(corners)
    # Runs cover their rows, so the lower neighbours of a run are consecutive.
    leftmost = np.maximum(runs.first[:upper] - reach, row) + width
    rightmost = np.minimum(runs.last[:upper] + reach, row + width - 1) + width
    run_at = np.repeat(np.arange(len(runs.first), dtype=np.int32), runs.last - runs.first + 1)
    lowest = run_at[leftmost]
    counts = run_at[rightmost] - lowest + 1
    ends = np.cumsum(counts, dtype=np.int32)
    lower = np.arange(counts.sum(), dtype=np.int32) + np.repeat(lowest - (ends - counts), counts)
    return Edges(np.repeat(np.arange(upper, dtype=np.int32), counts), lower)


def graph(runs: Runs) -> Edges:
    """All pairs of runs that touch by an edge."""
    rows, columns = above(runs, corners=False), beside(runs)
    return Edges(np.concatenate([rows.a, columns.a]), np.concatenate([rows.b, columns.b]))


def any_of(runs: Runs, pixels: np.ndarray) -> np.ndarray:
    """bool [N]: runs with at least one pixel set in the bool image [H, W]."""
    return np.bitwise_or.reduceat(pixels.ravel(), runs.first)


def components(nodes: int, edges: Edges) -> np.ndarray:
    """int32 [nodes]: an id per node, equal for connected nodes, counted from 0."""
    label = np.arange(nodes, dtype=np.int32)
    a, b = edges
    while len(a):
        _, merged = _round(int(label.max()) + 1, a, b)
        label = merged[label]
        a, b = merged[a], merged[b]
        apart = a != b
        a, b = a[apart], b[apart]
    return label


def flood_levels(value: np.ndarray, edges: Edges, dry: np.ndarray) -> np.ndarray:
    """How high water rises at each of N connected nodes before it runs off.

    The level is the least, over all paths from the node to a `dry` one (bool [N]), of the highest `value` on the
    path; `dry` nodes, of which there is at least one, stay at their own value.

    A level is the highest edge on the way out in a minimum spanning tree. Boruvka's algorithm grows that tree: in
    each round every component leaves by its lowest edge, and no node in it can run off below that edge.
    """
    # Node 0 is the outside; all dry nodes are in it.
    node = np.where(dry, 0, np.cumsum(~dry)).astype(np.int32)
    wet = ~(dry[edges.a] & dry[edges.b])
    a, b = edges.a[wet], edges.b[wet]
    height = np.maximum(value[a], value[b])
    order = np.argsort(height)
    a, b, height = node[a[order]], node[b[order]], height[order]

    count = int(node.max()) + 1
    rounds = []
    while count > 1:
        edge, merged = _round(count, a, b, root=0)
        rounds.append((height[edge], merged))
        a, b = merged[a], merged[b]
        apart = a != b
        a, b, height = a[apart], b[apart], height[apart]
        count = int(merged.max()) + 1
    level = value.min(keepdims=True)
    for exits, merged in reversed(rounds):
        level = np.maximum(exits, level[merged])
        level[0] = value.min()
    return np.where(dry, value, level[node])


def _round(nodes: int, a: np.ndarray, b: np.ndarray, root: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Merge every node over its first edge: (index of that edge, id of the merged node), int32 [nodes] each.

    `root` and nodes without an edge choose none; their entry is edge 0. Node 0 stays in merged node 0.
    """
    here = np.arange(nodes, dtype=np.int32)
    backwards = np.arange(len(a), dtype=np.int32)[::-1]
    first = np.full((2, nodes), len(a), dtype=np.int32)
    # Of repeated indices the last assignment stays, here that of the first edge.
    first[0, a[::-1]] = backwards
    first[1, b[::-1]] = backwards
    edge = first.min(axis=0)
    alone = edge == len(a)
    if root is not None:
        alone[root] = True
    edge[alone] = 0
    target = np.where(alone, here, a[edge] ^ b[edge] ^ here)
    # Of two nodes that chose each other the smaller is the root. Longer cycles cannot be, as edges are ordered.
    target = np.where((target[target] == here) & (here < target), here, target)
    while not np.array_equal(further := target[target], target):
        target = further
    return edge, (np.cumsum(target == here, dtype=np.int32) - 1)[target]
