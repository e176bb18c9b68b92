"""Exact operations on masks [B, H, W], float32 0..1, soft ones included: grow, soften, fill holes, drop islands."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from ..errors import BadInput
from .morphology import spread
from .runs import Edges, above, any_of, components, find_runs, flood_levels, graph, paint_runs

SOFTEN_REACH = 4
"""Standard deviations at which the Gaussian is cut off; 0.006 % of its weight lies beyond."""

BLOCK = 128
"""Pixels of a row that are blurred in one product."""


def grow(masks: torch.Tensor, pixels: int, tapered_corners: bool = True) -> torch.Tensor:
    """Grow masks by `pixels`, or shrink them by as many below 0: what the host's GrowMask does, bit for bit
    (the sign of a zero aside).

    Each pixel takes the largest (smallest) value within the distance: counted in steps to one of four neighbours with
    `tapered_corners` (a diamond), to one of eight without (a square). What lies outside the image does not count.
    """
    if pixels == 0:
        return masks.clone()
    extreme = np.maximum if pixels > 0 else np.minimum
    distance = min(abs(pixels), sum(masks.shape[-2:]))  # no pixel is further away
    return _each(masks, lambda mask: spread(mask, extreme, distance, tapered_corners))


def _each(masks: torch.Tensor, operation: Callable[[np.ndarray], np.ndarray]) -> torch.Tensor:
    """The batch of what `operation` makes of each mask [H, W]."""
    return torch.from_numpy(np.stack([operation(mask) for mask in masks.cpu().numpy()])).to(masks.device)


def soften(masks: torch.Tensor, sigma: float) -> torch.Tensor:
    """Blur masks by a Gaussian of standard deviation `sigma` pixels, in two passes; borders repeat outwards.

    The kernel is sampled at whole pixels up to `SOFTEN_REACH` sigma and sums to 1. Values stay within 0..1.

    Raises:
        BadInput: sigma is not finite.
    """
    if not math.isfinite(sigma):
        raise BadInput(f"soften: {sigma} is no number of pixels; give one of 0 or more.")
    reach = int(SOFTEN_REACH * sigma + 0.5)
    if reach == 0:
        return masks.clone()
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (weights / weights.sum()).to(masks)
    rows = _correlate_rows(masks, kernel)
    return _correlate_rows(rows.transpose(1, 2), kernel).transpose(1, 2).clamp(0, 1)


def _correlate_rows(x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """[B, H, W] correlated along W with an odd kernel, borders repeated outwards.

    By blocks of a row, as one product with a banded matrix: on a CPU several times faster than a convolution.
    """
    width, reach = x.shape[-1], len(kernel) // 2
    blocks = math.ceil(width / BLOCK)
    padded = F.pad(x, (reach, reach + blocks * BLOCK - width), mode="replicate")
    tap = torch.arange(BLOCK + 2 * reach)[:, None] - torch.arange(BLOCK)
    band = torch.where((tap >= 0) & (tap <= 2 * reach), kernel.cpu()[tap.clamp(0, 2 * reach)], 0).to(kernel)
    return (padded.unfold(-1, BLOCK + 2 * reach, BLOCK) @ band).flatten(2)[..., :width]


def fill_holes(masks: torch.Tensor) -> torch.Tensor:
    """Fill what masks enclose.

    A hole is a place from which no path of side-by-side pixels leads to the image's border without rising; it is
    filled up to the lowest way out. For a binary mask these are the holes in the usual sense; a soft mask is filled
    at all its levels at once, which is the same as filling its binary masks at every threshold.
    """
    return _each(masks, _filled)


def _filled(mask: np.ndarray) -> np.ndarray:
    runs = find_runs(mask)
    # Few runs are soon flooded. Of many, most are spared by first looking for straight ways out.
    dry = _drains(mask) if len(runs.first) * 16 > mask.size else _border(mask.shape)
    return paint_runs(runs, flood_levels(runs.value, graph(runs), any_of(runs, dry)))


def _border(shape: tuple[int, ...]) -> np.ndarray:
    border = np.ones(shape, dtype=bool)
    border[1:-1, 1:-1] = False
    return border


def _drains(mask: np.ndarray) -> np.ndarray:
    """bool [H, W]: pixels from which a path of at most four straight stretches leads to the border without rising."""
    level = np.where(_border(mask.shape), mask, np.inf).astype(mask.dtype)
    _sweep(mask, level)
    across = np.ascontiguousarray(level.T)
    _sweep(np.ascontiguousarray(mask.T), across)
    return mask == across.T


def _sweep(ground: np.ndarray, level: np.ndarray) -> None:
    """Let water run down the columns of `level`, which the caller owns, and then up, never below the ground."""
    last = len(level) - 1
    for row, upstream in [*((y, y - 1) for y in range(1, last + 1)), *((y, y + 1) for y in range(last - 1, -1, -1))]:
        np.minimum(level[row], level[upstream], out=level[row])
        np.maximum(level[row], ground[row], out=level[row])


def drop_islands(masks: torch.Tensor, min_area: float) -> torch.Tensor:
    """Set to 0 every island whose area is below `min_area` pixels.

    An island is what hangs together above 0, by sides or corners; its area is the sum of its values, for a binary
    mask its number of pixels.
    """
    return _each(masks, lambda mask: _without_islands(mask, min_area))


def _without_islands(mask: np.ndarray, min_area: float) -> np.ndarray:
    runs = find_runs(mask > 0)
    pairs = above(runs, corners=True)
    solid = runs.value[pairs.a] & runs.value[pairs.b]
    island = components(len(runs.value), Edges(pairs.a[solid], pairs.b[solid]))
    weight = np.add.reduceat(mask.ravel(), runs.first, dtype=np.float64)
    return np.where(paint_runs(runs, np.bincount(island, weight)[island] >= min_area), mask, 0).astype(mask.dtype)
