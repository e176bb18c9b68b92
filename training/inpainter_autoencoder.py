"""The inpainter's autoencoder: 64 x 64 RGB to 4 x 16 x 16 latents of about unit variance, and back."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .holes import Hole, draw_hole
from .loop import Schedule, train
from .scenes import Sprites

if TYPE_CHECKING:
    from diffusers import AutoencoderTiny

SCHEDULE = Schedule(steps=4500, rate=2e-3, warmup=100)
BATCH = 4
LATENT_NOISE = 0.05
OBJECT_WEIGHT = 2.0
STANDARDISE = 0.02


def build_autoencoder() -> "AutoencoderTiny":
    """0.3 M parameters, a quarter of the side; the decoder, which draws the pixels, has most of them."""
    from diffusers import AutoencoderTiny

    width = (32, 32, 32)
    return AutoencoderTiny(
        encoder_block_out_channels=width,
        decoder_block_out_channels=width,
        num_encoder_blocks=(0, 1, 2),
        num_decoder_blocks=(3, 2, 1),
        latent_channels=4,
        scaling_factor=1.0,
    )


def train_autoencoder(
    checkpoint: Path, wanted: Sprites, others: Sprites, seed: int, schedule: Schedule = SCHEDULE
) -> "AutoencoderTiny":
    """Train on complete and on masked pictures, resuming from `checkpoint`. Returns the autoencoder in eval mode."""
    torch.manual_seed(seed)
    model = build_autoencoder().to(memory_format=torch.channels_last)

    def losses_at(step: int) -> Mapping[str, Tensor]:
        rng = np.random.default_rng((seed, step))
        noise = torch.Generator().manual_seed(seed + step)
        holes = [draw_hole(rng, wanted, others) for _ in range(BATCH)]
        pixels, masks = to_tensors(holes)
        blank = torch.rand(BATCH, 1, 1, 1, generator=noise) < 0.25
        pixels = torch.where(blank & masks, 0.0, pixels)
        return reconstruction_losses(model, pixels, masks, noise)

    train(model, losses_at, schedule, checkpoint)
    return model.eval()


def to_tensors(holes: Sequence[Hole]) -> tuple[Tensor, Tensor]:
    """Pixels, float32 [B, 3, S, S] in -1..1, and masks, bool [B, 1, S, S]."""
    pixels = torch.from_numpy(np.stack([hole.target for hole in holes])).permute(0, 3, 1, 2) / 127.5 - 1
    masks = torch.from_numpy(np.stack([hole.mask for hole in holes]))[:, None]
    return pixels.contiguous(memory_format=torch.channels_last), masks


def reconstruction_losses(
    model: "AutoencoderTiny", pixels: Tensor, masks: Tensor, noise: torch.Generator
) -> dict[str, Tensor]:
    """L1, edges and squared error, weighted towards the hole's contents, and a pull to standardised latents."""
    latents = model.encode(pixels).latents
    noisy = latents + LATENT_NOISE * torch.randn(latents.shape, generator=noise)
    error = model.decode(noisy).sample - pixels
    weight = 1 + (OBJECT_WEIGHT - 1) * masks.float()
    edges = (error.diff(dim=2).abs() * weight[:, :, 1:]).mean() + (error.diff(dim=3).abs() * weight[..., 1:]).mean()
    std, mean = torch.std_mean(latents, dim=(0, 2, 3))
    return {
        "l1": (error.abs() * weight).mean(),
        "edges": 0.5 * edges,
        "square": (error.square() * weight).mean(),
        "standard": STANDARDISE * (mean.square() + (std - 1).square()).mean(),
    }


def measure_psnr(model: "AutoencoderTiny", holes: Sequence[Hole]) -> dict[str, float]:
    """Peak signal-to-noise ratio in dB over all pixels and inside the holes."""
    pixels, masks = to_tensors(holes)
    with torch.no_grad():
        restored = model.decode(model.encode(pixels).latents).sample.clamp(-1, 1)
    squared = (restored - pixels).square().mean(dim=1, keepdim=True) / 4
    return {"all": -10 * squared.mean().log10().item(), "holes": -10 * squared[masks].mean().log10().item()}


def standardise(model: "AutoencoderTiny", holes: Sequence[Hole]) -> None:
    """Set the scaling factor so that latents have unit variance, as diffusion expects."""
    with torch.no_grad():
        latents = model.encode(to_tensors(holes)[0]).latents
    model.register_to_config(scaling_factor=latents.square().mean().rsqrt().item())
