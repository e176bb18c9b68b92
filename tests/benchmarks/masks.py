"""Growing masks and filling their holes, against the algorithms of nodes in wide use, written down here.

Every comparison first asserts that both give the same result.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy import ndimage
from trilemma.models.pictures import masks
from trilemma.tests.benchmarks.timing import Comparison, compare

SIDE = 1024
GROW = 32
GROW_AT_LEAST = 20
FILL_AT_LEAST = 10

FILL_THRESHOLDS = (1, 0.99, 0.97, 0.95, 0.93, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
"""The levels at which ComfyUI-Inpaint-CropAndStitch fills a mask."""


def grow_step_by_step(batch: torch.Tensor, pixels: int, tapered_corners: bool) -> torch.Tensor:
    """ComfyUI's GrowMask: one grey dilation (erosion) by 3 x 3 pixels per pixel of growth; a cross if tapered."""
    footprint = ndimage.generate_binary_structure(2, 1 if tapered_corners else 2)
    step = ndimage.grey_dilation if pixels > 0 else ndimage.grey_erosion
    grown = []
    for mask in batch.numpy():
        for _ in range(abs(pixels)):
            mask = step(mask, footprint=footprint)
        grown.append(torch.from_numpy(mask))
    return torch.stack(grown)


def fill_at_thresholds(batch: torch.Tensor) -> torch.Tensor:
    """ComfyUI-Inpaint-CropAndStitch's hole filling on the CPU: fourteen times, from the highest level down, what
    reaches the level is closed by 3 x 3 pixels, its holes are filled, and the whole is raised to the level."""
    filled = []
    for mask in batch.numpy():
        for level in FILL_THRESHOLDS:
            closed = ndimage.binary_closing(mask >= level, structure=np.ones((3, 3)), border_value=1)
            mask = np.maximum(mask, np.where(ndimage.binary_fill_holes(closed), level, 0))
        filled.append(torch.from_numpy(mask.astype(np.float32)))
    return torch.stack(filled)


def discs(side: int = SIDE) -> torch.Tensor:
    """Twelve discs with round holes, well apart (so that the closing changes nothing): [1, side, side], 0 or 1."""
    unit = side / 16
    rows, columns = np.mgrid[:side, :side]
    mask = np.zeros((side, side), dtype=np.float32)
    for i in range(12):
        distance = np.hypot(rows - unit * (3 + 5 * (i // 4)), columns - unit * (2 + 4 * (i % 4)))
        mask[(distance < unit * 1.4) & (distance >= unit * (0.2 + 0.07 * i))] = 1
    return torch.from_numpy(mask)[None]


def stepped(batch: torch.Tensor, sigma: float) -> torch.Tensor:
    """A softened mask, its values lowered to the nearest of the fourteen levels, so that these miss nothing."""
    levels = torch.tensor((0, *FILL_THRESHOLDS[::-1]), dtype=torch.float32)
    return levels[torch.bucketize(masks.soften(batch, sigma).contiguous(), levels, right=True) - 1]


def compare_grow(batch: torch.Tensor, pixels: int, tapered_corners: bool, repeats: int = 5) -> Comparison:
    """GrowMask against `masks.grow`: identical to the bit."""
    return _compare(
        lambda: grow_step_by_step(batch, pixels, tapered_corners),
        lambda: masks.grow(batch, pixels, tapered_corners),
        repeats,
    )


def compare_fill(batch: torch.Tensor, repeats: int = 5) -> Comparison:
    """Filling at fourteen thresholds against `masks.fill_holes`: identical to the bit on masks of these levels."""
    return _compare(lambda: fill_at_thresholds(batch), lambda: masks.fill_holes(batch), repeats)


def _compare(reference: Callable[[], torch.Tensor], ours: Callable[[], torch.Tensor], repeats: int) -> Comparison:
    assert torch.equal(reference(), ours())
    return compare(reference, ours, repeats)


def rows() -> list[tuple[str, Comparison, float]]:
    """What is compared, the times, and the least ratio that is promised."""
    binary = discs()
    soft = masks.soften(binary, 4)
    size = f"{SIDE} x {SIDE}"
    return [
        (f"grow {GROW} px, tapered, binary, {size}", compare_grow(binary, GROW, True), GROW_AT_LEAST),
        (f"grow {GROW} px, square, binary, {size}", compare_grow(binary, GROW, False), GROW_AT_LEAST),
        (f"shrink {GROW} px, tapered, soft, {size}", compare_grow(soft, -GROW, True), GROW_AT_LEAST),
        (f"fill holes, binary, {size}", compare_fill(binary), FILL_AT_LEAST),
        (f"fill holes, soft (14 levels), {size}", compare_fill(stepped(binary, 4)), FILL_AT_LEAST),
    ]
