"""Largest and smallest values around each pixel of a mask [H, W]: grey dilation and erosion by a diamond or a square.

Extremes over distances that double make the cost grow with the logarithm of the distance. They are taken tile by tile,
so that each doubling reads the processor's cache and not memory. A tile with its surroundings lies row after row in a
flat array, in which a step to any side, corners included, is a fixed stride.
"""

from __future__ import annotations

import itertools

import numpy as np

TILE_BYTES = 2**18
"""Size of a tile. With surroundings of up to a quarter of its side, and two results as large, it takes less than the
2 MiB of a processor core's own cache."""

TILE_DISTANCES = 4
"""Least side of a tile in distances: surroundings are worked through once for each tile, and must not prevail."""


def spread(mask: np.ndarray, extreme: np.ufunc, distance: int, tapered_corners: bool) -> np.ndarray:
    """What `extreme` (np.maximum or np.minimum) makes of the pixels of `mask` within `distance` >= 1 of each pixel.

    Distance is counted in steps to one of four neighbours with `tapered_corners` (a diamond), to one of eight without
    (a square). What lies outside the mask does not count. Takes numbers of any dtype, but no NaN; the dtype stays.
    """
    if mask.strides[0] < mask.strides[1]:
        return spread(mask.T, extreme, distance, tapered_corners).T  # as its rows lie in memory; both shapes allow it
    low, high = mask.min(), mask.max()
    highest = mask == high
    if np.all(highest | (mask == low)):
        # Two values fit into bytes, of which a processor compares four times as many at once.
        return np.where(_by_tiles(highest.view(np.uint8), extreme, distance, tapered_corners), high, low)
    return _by_tiles(mask, extreme, distance, tapered_corners)


def _by_tiles(mask: np.ndarray, extreme: np.ufunc, distance: int, tapered_corners: bool) -> np.ndarray:
    neighbourhood = _diamond if tapered_corners else _square
    nothing = mask.min() if extreme is np.maximum else mask.max()
    # The last row is a spare one: what is found for the ends of rows looks beyond, and is left out.
    padded = np.pad(mask, ((distance, distance + 1), (distance, distance)), constant_values=nothing)
    side = max(int((TILE_BYTES / mask.itemsize) ** 0.5), TILE_DISTANCES * distance)
    reach = side + 2 * distance
    pick = _Pick(extreme, padded[: reach + 1, :reach])
    out = np.empty_like(mask)
    for top, left in itertools.product(range(0, mask.shape[0], side), range(0, mask.shape[1], side)):
        tile = out[top : top + side, left : left + side]
        around = padded[top : top + reach + 1, left : left + reach]
        found = neighbourhood(pick, around.ravel(), distance, around.shape[1])
        tile[:] = found[: len(tile) * around.shape[1]].reshape(len(tile), -1)[:, : tile.shape[1]]
    return out


class _Pick:
    """Extremes of two flat arrays, written in turn into two buffers: fresh memory each time would cost most.

    A result stays valid until the second call after it.
    """

    def __init__(self, extreme: np.ufunc, largest: np.ndarray) -> None:
        self._extreme = extreme
        self._next = np.empty(largest.size, largest.dtype)
        self._last = np.empty(largest.size, largest.dtype)

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        out = self._next[: len(a)]
        self._next, self._last = self._last, self._next
        return self._extreme(a, b, out=out)


def _square(pick: _Pick, x: np.ndarray, distance: int, width: int) -> np.ndarray:
    columns = _running(pick, x, 2 * distance, width)
    return _running(pick, columns, 2 * distance, 1)


def _diamond(pick: _Pick, x: np.ndarray, distance: int, width: int) -> np.ndarray:
    # A cross, spread along one diagonal and then along the other, is a diamond.
    neighbours = _running(pick, _running(pick, x, 1, width + 1), 1, width - 1)
    cross = pick(neighbours, x[width:-width])
    diagonal = _running(pick, cross, distance - 1, width + 1)
    return _running(pick, diagonal, distance - 1, width - 1)[distance:]


def _running(pick: _Pick, x: np.ndarray, steps: int, stride: int) -> np.ndarray:
    """Extreme of each element of flat `x` and the `steps` that follow it `stride` apart, where `x` has them all."""
    covered = 1
    while covered <= steps:
        more = min(covered, steps + 1 - covered)
        x = pick(x[: -more * stride], x[more * stride :])
        covered += more
    return x
