"""The starter VAE: 0.8 million parameters that draw 32 emoji at 32 pixels.

`python -m training.vae` trains it, resumes what was interrupted, and writes models/starter/emoji_vae.
"""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from trilemma.models.generators.vae.sigma_vae import MEANS, SigmaVAE

from .command import read_arguments, save
from .loop import Schedule, train
from .pictures import NAMES, Pictures, draw_pictures, load_sprites

PICTURES = 16384
BATCH = 32
SCHEDULE = Schedule(steps=2600, rate=2e-3, betas=(0.9, 0.99))
EMA = 0.998
LATENT = 64
WIDTHS = (32, 64, 128)


class Trainee(nn.Module):
    """The network that is trained, the means of its classes in latent space, and the moving average of both."""

    def __init__(self, seed: int = 0, network: SigmaVAE | None = None) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.network = network or SigmaVAE(LATENT, WIDTHS)
        self.means = nn.Parameter(torch.randn(len(NAMES), self.network.latent))
        self.average = deepcopy(self.network).requires_grad_(False)
        self.register_buffer("average_means", self.means.detach().clone())

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Move the average towards the network; it forgets faster at the start."""
        decay = min(EMA, (1 + step) / (10 + step))
        for average, weight in zip(self.average.parameters(), self.network.parameters(), strict=True):
            average.lerp_(weight, 1 - decay)
        self.average_means.lerp_(self.means, 1 - decay)


def evidence_losses(model: Trainee, images: Tensor, labels: Tensor, generator: torch.Generator) -> Mapping[str, Tensor]:
    """Negative evidence lower bound, in nats per value of a picture. images: [B, 3, S, S] in -1..1; labels: int64 [B].

    The likelihood is Gaussian with the deviation that suits the batch best, which balances the two terms by itself
    (Rybkin 2021); the prior of a class is a unit Gaussian about its learned mean.
    """
    mean, log_variance = model.network.encode(images)
    noise = torch.randn(mean.shape, generator=generator)
    restored = model.network.decode(mean + noise * (log_variance / 2).exp())
    error = (restored - images).square().mean()
    offset = (mean - model.means[labels]).square()
    divergence = 0.5 * (offset + log_variance.exp() - log_variance - 1).sum(dim=1).mean()
    return {"reconstruction": error.log() / 2, "divergence": divergence / images[0].numel()}


def fit(model: Trainee, pictures: Pictures, runs: Path, schedule: Schedule = SCHEDULE) -> None:
    """Train `model` in place; a checkpoint in `runs` is resumed."""

    def losses_at(step: int) -> Mapping[str, Tensor]:
        model.follow(step)
        images, labels = pictures.batch(np.random.default_rng([33, step]), BATCH)
        return evidence_losses(model, images, labels, torch.Generator().manual_seed(step))

    train(model, losses_at, schedule, runs / "vae.pt", log_every=100)


def export(model: Trainee, folder: Path) -> None:
    """Write the moving average and the means of its classes in half precision; metadata names the classes."""
    tensors = {**model.average.state_dict(), MEANS: model.average_means}
    save(tensors, {"architecture": "sigma_vae", "class_names": NAMES}, folder)


def main() -> None:
    arguments = read_arguments(__doc__, "emoji_vae")
    model = Trainee()
    fit(model, draw_pictures(load_sprites(arguments.data), PICTURES), arguments.runs)
    export(model, arguments.output)


if __name__ == "__main__":
    main()
