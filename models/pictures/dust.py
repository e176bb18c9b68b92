"""What of a mask counts: one rule for all that take masks.

Masks come from files whose colours were rounded on the way: a lossy or a video file leaves a background of 1/255, and
ComfyUI's own Load Image gives an opaque GIF 4.6e-5 everywhere and reads the white of a grey PNG as 255/256.
"""

from __future__ import annotations

from typing import Final

import torch

from .images import check_masks

MASK_THRESHOLD: Final = 0.1
"""Values below it are dust, unless the user says otherwise; those from it on stay as soft as they are."""
WHITE: Final = 0.996
"""Values from it on are 1: 254/255 and 255/256 among them."""


def without_dust(masks: torch.Tensor, threshold: float = MASK_THRESHOLD, what: str = "mask") -> torch.Tensor:
    """Masks [B, H, W], or one [H, W], as float32 [B, H, W]: dust is 0, white is 1, all between as it was.

    threshold: 0..1; at 0 whatever is above 0 counts.

    Raises:
        BadInput: see `images.check_masks`.
    """
    masks = check_masks(masks, what)
    return torch.where(masks >= WHITE, 1.0, torch.where(masks < threshold, 0.0, masks))


def report_dust(masks: torch.Tensor, threshold: float = MASK_THRESHOLD, what: str = "mask") -> str:
    """A line about what `without_dust` takes away; empty where there is none."""
    masks = check_masks(masks, what)
    some = masks[masks.amax(dim=-1) > 0]  # rows that are 0 need no second look
    dust = some[(some > 0) & (some < threshold)]
    if not len(dust):
        return ""
    return (
        f"{what}: {len(dust):,} of {masks.numel():,} values lie below mask_threshold {threshold:g} (the greatest is "
        f"{float(dust.max()):.2g}) and count as 0; lower mask_threshold where they are meant."
    )
