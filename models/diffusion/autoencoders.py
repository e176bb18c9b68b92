"""Pictures to latents and back, with the autoencoders of diffusers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
import torch.nn.functional as F

PREVIEW_CELLS: Final = 32
"""Longest side of a preview in latent cells: decoding a 512 px picture for one would cost about a step."""


def latent_scale(vae: Any) -> int:
    """Pixels to a latent cell, along a side."""
    return 2 ** (len(vae.config.block_out_channels) - 1)


def encode(vae: Any, pixels: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
    """Scaled latents, float32 [n, C, h, w], of pictures [n, 3, H, W] in -1..1; a KL autoencoder's posterior is sampled.

    One picture at a time: a VAE at full resolution needs more memory than the whole UNet.
    """
    encoded = []
    for picture, generator in zip(pixels, generators, strict=True):
        output = vae.encode(picture[None].to(vae.dtype))
        if hasattr(output, "latents"):
            latents = output.latents.float()
        else:
            mean, std = output.latent_dist.mean.float(), output.latent_dist.std.float()
            latents = mean + std * torch.randn(mean.shape, generator=generator).to(mean.device)
        encoded.append(latents * vae.config.scaling_factor)
    return torch.cat(encoded)


def decode(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """Pictures [n, H, W, 3], 0..1, of scaled latents, one at a time like `encode`."""
    return decoded(vae, latents).clamp(0, 1).movedim(1, -1)


def decoded(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """The same as [n, 3, H, W], about 0..1, with derivatives."""
    scaled = (latents / vae.config.scaling_factor).to(vae.dtype)
    pictures = [vae.decode(one[None]).sample.float() for one in scaled]
    return torch.cat(pictures) / 2 + 0.5


def preview(vae: Any, latents: torch.Tensor, tall: float = 1.0, wide: float = 1.0) -> torch.Tensor:
    """Reduced picture [h, w, 3] of latents [1, C, h, w]; `tall` and `wide` are the shares that are no padding."""
    ratio = PREVIEW_CELLS / max(latents.shape[2:])
    if ratio < 1:
        height, width = (max(1, round(side * ratio)) for side in latents.shape[2:])
        latents = F.interpolate(latents, size=(height, width), mode="area")
    picture = decode(vae, latents)[0]
    return picture[: max(1, round(len(picture) * tall)), : max(1, round(picture.shape[1] * wide))]
