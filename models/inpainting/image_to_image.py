"""Whole pictures redrawn by a Stable Diffusion model (Meng et al., 2022, arXiv 2108.01073)."""

from __future__ import annotations

from typing import Final

import torch

from ..diffusion.stable_diffusion import StableDiffusion
from .base import InpaintRequest
from .stable_diffusion import StableDiffusionInpainter

STRENGTH: Final = 0.6


class ImageToImage(StableDiffusionInpainter):
    """Starts from the noised picture, at full strength too, where an inpainter would start from noise alone.

    An inpainting model sees all of a grey picture masked, as where it draws without a picture.
    """

    begins_with_noise = False


def image_to_image(networks: StableDiffusion, images: torch.Tensor) -> tuple[ImageToImage, InpaintRequest]:
    """What redraws images [B, H, W, 3 or 4], and a request of all their pixels, to be completed by prompt and settings.

    An alpha channel stays as it is.
    """
    request = InpaintRequest(images, torch.ones(1, *images.shape[1:3]), "", strength=STRENGTH, mask_threshold=0.0)
    return ImageToImage(networks), request
