"""The starter diffusion model: a class-conditional DDPM of 1.5 million parameters that draws 32 emoji at 32 pixels.

`python -m training.ddpm` trains it, resumes what was interrupted, and writes models/starter/emoji_ddpm.
"""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .command import read_arguments, save
from .loop import Schedule, train
from .pictures import NAMES, SIZE, Pictures, draw_pictures, load_sprites

if TYPE_CHECKING:
    from diffusers import UNet2DModel

PICTURES = 16384
BATCH = 32
SCHEDULE = Schedule(steps=8000, rate=1e-3, betas=(0.9, 0.99))
EMA = 0.999
NO_LABEL = 0.1
TIMESTEPS = 1000
NORM_GROUPS = 8
HEAD_SIZE = 8


class Diffusion(nn.Module):
    """The network that is trained, and its moving average, which is what ships."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.unet = build_unet()
        self.average = deepcopy(self.unet).requires_grad_(False)

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Move the average towards the network; it forgets faster at the start."""
        decay = min(EMA, (1 + step) / (10 + step))
        for average, weight in zip(self.average.parameters(), self.unet.parameters(), strict=True):
            average.lerp_(weight, 1 - decay)


def build_unet() -> "UNet2DModel":
    from diffusers import UNet2DModel

    return UNet2DModel(
        sample_size=SIZE,
        block_out_channels=(24, 48, 96),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        norm_num_groups=NORM_GROUPS,
        attention_head_dim=HEAD_SIZE,
        num_class_embeds=len(NAMES) + 1,
    )


def signal_and_noise() -> tuple[Tensor, Tensor]:
    """float32 [TIMESTEPS] each: sqrt(alpha_bar) and sqrt(1 - alpha_bar) of the cosine schedule (Nichol 2021), as
    diffusers' `squaredcos_cap_v2` computes it."""
    from diffusers import DDPMScheduler

    products = DDPMScheduler(TIMESTEPS, beta_schedule="squaredcos_cap_v2").alphas_cumprod
    return products.sqrt(), (1 - products).sqrt()


def diffusion_losses(
    model: Diffusion, images: Tensor, labels: Tensor, generator: torch.Generator
) -> Mapping[str, Tensor]:
    """Mean squared error of the predicted velocity (Salimans 2022). images: [B, 3, S, S] in -1..1; labels: int64 [B].

    The steps of a batch are evenly spread, which quiets the loss; a tenth of the labels is taken away, for guidance.
    """
    size = len(images)
    offsets = (torch.arange(size) + torch.rand(1, generator=generator)) / size
    steps = (offsets * TIMESTEPS).long().clamp(max=TIMESTEPS - 1)
    signal, noise = (level[steps][:, None, None, None] for level in signal_and_noise())
    drawn = torch.randn(images.shape, generator=generator)
    hidden = torch.rand(size, generator=generator) < NO_LABEL
    labels = labels.masked_fill(hidden, len(NAMES))
    predicted = model.unet(signal * images + noise * drawn, steps, class_labels=labels).sample
    return {"velocity": F.mse_loss(predicted, signal * drawn - noise * images)}


def fit(model: Diffusion, pictures: Pictures, runs: Path, schedule: Schedule = SCHEDULE) -> None:
    """Train `model` in place; a checkpoint in `runs` is resumed."""

    def losses_at(step: int) -> Mapping[str, Tensor]:
        model.follow(step)
        images, labels = pictures.batch(np.random.default_rng([32, step]), BATCH)
        return diffusion_losses(model, images, labels, torch.Generator().manual_seed(step))

    train(model, losses_at, schedule, runs / "ddpm.pt", save_every=100)


def export(model: Diffusion, folder: Path) -> None:
    """Write the moving average in half precision; its metadata says what the shapes cannot tell."""
    unseen = {
        "architecture": "ddpm",
        "sample_size": SIZE,
        "norm_num_groups": NORM_GROUPS,
        "attention_head_dim": HEAD_SIZE,
        "prediction_type": "v_prediction",
        "beta_schedule": "squaredcos_cap_v2",
        "num_train_timesteps": TIMESTEPS,
        "class_names": NAMES,
        "unconditional_label": len(NAMES),
    }
    save(model.average.state_dict(), unseen, folder)


def main() -> None:
    arguments = read_arguments(__doc__, "emoji_ddpm")
    model = Diffusion()
    fit(model, draw_pictures(load_sprites(arguments.data), PICTURES), arguments.runs)
    export(model, arguments.output)


if __name__ == "__main__":
    main()
