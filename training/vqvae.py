"""The starter VQ-VAE: 32-pixel emoji to 8 x 8 codes of a book of 256, and back. The starter priors draw its codes.

`training.transformer_prior`, `training.pixelcnn_prior` and `training.row_lstm_prior` train it first where that is still
to do, and ship it with their own weights; `training.feature_prior` does so with a smaller one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from trilemma.models.generators.autoregressive.quantised import nearest

from .loop import Schedule, train
from .pictures import Pictures

if TYPE_CHECKING:
    from diffusers import VQModel

PICTURES = 16384
BATCH = 16
SCHEDULE = Schedule(steps=1800, rate=2e-3, warmup=100, betas=(0.9, 0.99))
CODES, CODE_SIZE = 256, 32
GRID = (8, 8)
WIDTHS = (24, 32, 64)
NORM_GROUPS = 8
COMMITMENT = 0.25
EMA = 0.98
LEAST_USE = 0.05


class Trainee(nn.Module):
    """The network, and the moving sums that its codebook is made of (van den Oord 2017, appendix A.1)."""

    def __init__(self, seed: int = 0, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.network = build_vqvae(widths).to(memory_format=torch.channels_last)
        self.book.requires_grad_(False)
        self.register_buffer("uses", torch.zeros(CODES))
        self.register_buffer("sums", torch.zeros(CODES, CODE_SIZE))

    @property
    def book(self) -> nn.Parameter:
        """float32 [CODES, CODE_SIZE]."""
        return self.network.quantize.embedding.weight

    @torch.no_grad()
    def revive(self, vectors: Tensor, generator: torch.Generator) -> None:
        """Put codes that are hardly used, which at first are all, where vectors [V, CODE_SIZE] of the batch lie."""
        dead = self.uses < LEAST_USE
        chosen = vectors[torch.randint(len(vectors), (int(dead.sum()),), generator=generator)]
        self.uses[dead] = 1.0
        self.sums[dead] = chosen
        self.book[dead] = chosen

    @torch.no_grad()
    def follow(self, vectors: Tensor, codes: Tensor) -> None:
        """Move each code towards the mean of its vectors. vectors: [V, CODE_SIZE]; codes: int64 [V]."""
        self.uses.lerp_(torch.bincount(codes, minlength=CODES).float(), 1 - EMA)
        self.sums.lerp_(torch.zeros_like(self.sums).index_add_(0, codes, vectors), 1 - EMA)
        self.book.copy_(self.sums / self.uses[:, None])


def build_vqvae(widths: tuple[int, ...] = WIDTHS) -> "VQModel":
    """0.7 M parameters, a quarter of the side. widths: channels of the levels, fine to coarse."""
    from diffusers import VQModel

    return VQModel(
        block_out_channels=widths,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        layers_per_block=1,
        latent_channels=CODE_SIZE,
        num_vq_embeddings=CODES,
        norm_num_groups=NORM_GROUPS,
        mid_block_add_attention=False,
    )


def quantised_losses(model: Trainee, images: Tensor, generator: torch.Generator) -> Mapping[str, Tensor]:
    """Absolute and squared error of the pictures, [B, 3, S, S] in -1..1, and the pull of the vectors to their codes."""
    grid = model.network.encode(images.contiguous(memory_format=torch.channels_last)).latents
    vectors = grid.permute(0, 2, 3, 1).reshape(-1, CODE_SIZE)
    model.revive(vectors, generator)
    codes = nearest(vectors.detach(), model.book)
    near = model.book[codes].reshape(grid.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)
    model.follow(vectors.detach(), codes)
    passed = grid + (near - grid).detach()
    error = model.network.decode(passed, force_not_quantize=True).sample - images
    return {
        "l1": error.abs().mean(),
        "square": error.square().mean(),
        "commitment": COMMITMENT * F.mse_loss(grid, near),
    }


def fit(
    pictures: Pictures,
    runs: Path,
    schedule: Schedule = SCHEDULE,
    widths: tuple[int, ...] = WIDTHS,
    name: str = "vqvae",
) -> "VQModel":
    """The trained VQ-VAE; its checkpoint `name` in `runs` is resumed. Weights have the precision of those that ship."""
    model = Trainee(widths=widths)

    def losses_at(step: int) -> Mapping[str, Tensor]:
        images, _ = pictures.batch(np.random.default_rng([34, step]), BATCH)
        return quantised_losses(model, images, torch.Generator().manual_seed(step))

    train(model, losses_at, schedule, runs / f"{name}.pt")
    return model.network.half().float().eval().requires_grad_(False)


@torch.no_grad()
def to_codes(network: "VQModel", images: Tensor, batch: int = 128) -> Tensor:
    """The codes of uint8 pictures [N, 3, S, S]: int64 [N, h, w]."""
    found = []
    for part in images.split(batch):
        grid = network.encode(part.float() / 127.5 - 1).latents.permute(0, 2, 3, 1)
        codes = nearest(grid.reshape(-1, grid.shape[-1]), network.quantize.embedding.weight)
        found.append(codes.reshape(grid.shape[:3]))
    return torch.cat(found)
