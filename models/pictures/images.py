"""Checks and broadcasts of the host's IMAGE [B, H, W, C] and MASK [B, H, W] tensors."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ..errors import BadInput

EMPTY_MASK_SIZE = (64, 64)
"""The host's Load Image gives a zero mask of this size for pictures without an alpha channel."""


def check_images(images: torch.Tensor, what: str = "image", finite: bool = True) -> torch.Tensor:
    """The batch [B, H, W, 3 or 4] as float32, values 0..1.

    finite: look at all values; without it, who uses some of them has to call `check_finite` of those.

    Raises:
        BadInput: another shape, an empty batch, or values that are not finite.
    """
    if not isinstance(images, torch.Tensor) or images.ndim != 4 or images.shape[-1] not in (3, 4):
        found = tuple(images.shape) if isinstance(images, torch.Tensor) else type(images).__name__
        raise BadInput(f"{what}: expected images of shape [batch, height, width, 3 or 4], found {found}.")
    if 0 in images.shape:
        raise BadInput(f"{what}: the batch of shape {tuple(images.shape)} is empty; give at least one image.")
    if finite and not _all_finite(images):
        frames = (~torch.isfinite(images).flatten(1).all(dim=1)).nonzero().flatten().tolist()
        check_finite(images[frames[0]], frames[0], what)
    return images.float()


def check_finite(pixels: torch.Tensor, frame: int, what: str = "image") -> None:
    """Raise BadInput where pixels of an image of the batch are NaN or infinite."""
    if not _all_finite(pixels):
        raise BadInput(f"{what}: image {frame} of the batch holds NaN or infinite values; repair what made it.")


def _all_finite(values: torch.Tensor) -> bool:
    """In one pass, and without a tensor of as many answers: extremes carry NaN."""
    if not values.is_floating_point() or not values.numel():
        return True
    low, high = torch.aminmax(values)
    return bool(torch.isfinite(low) & torch.isfinite(high))


def rgb(images: torch.Tensor, what: str = "image") -> torch.Tensor:
    """The checked batch without its alpha channel: float32 [B, H, W, 3]."""
    return check_images(images, what)[..., :3]


def check_masks(masks: torch.Tensor, what: str = "mask") -> torch.Tensor:
    """The masks [B, H, W], or one mask [H, W], as float32 [B, H, W].

    Raises:
        BadInput: another shape, no pixels, or values that are not finite.
    """
    if not isinstance(masks, torch.Tensor) or masks.ndim not in (2, 3) or 0 in masks.shape:
        found = tuple(masks.shape) if isinstance(masks, torch.Tensor) else type(masks).__name__
        raise BadInput(f"{what}: expected masks of shape [batch, height, width], found {found}.")
    masks = masks.float().reshape(-1, *masks.shape[-2:])
    if not _all_finite(masks):
        raise BadInput(f"{what}: the mask holds NaN or infinite values; repair what made it.")
    return masks


def match_masks(masks: torch.Tensor, frames: int, height: int, width: int, what: str = "mask") -> torch.Tensor:
    """Masks for a batch of images: float32 [frames, height, width], values 0..1.

    One mask serves all images. A mask of the same aspect ratio is resized as the host resizes masks (bilinear);
    a zero mask of 64 x 64, the host's sign for "no mask", is empty at any size.

    Raises:
        BadInput: another shape, another number of masks than images, another aspect ratio, values not finite.
    """
    masks = check_masks(masks, what)
    if len(masks) not in (1, frames):
        raise BadInput(f"{what}: {len(masks)} masks for {frames} images; give one mask per image, or one for all.")
    found_height, found_width = masks.shape[-2:]
    if (found_height, found_width) != (height, width):
        if (found_height, found_width) == EMPTY_MASK_SIZE and not bool(masks.any()):
            return torch.zeros(frames, height, width, device=masks.device)
        if round(found_width * height / found_height) != width and round(found_height * width / found_width) != height:
            raise BadInput(
                f"{what}: the mask of {found_width} x {found_height} pixels has another aspect ratio than the image of "
                f"{width} x {height}; make it from the same image, or resize it yourself."
            )
        masks = F.interpolate(masks[:, None], size=(height, width), mode="bilinear")[:, 0]
    return masks.clamp(0, 1).expand(frames, -1, -1)
