"""The starter denoising diffusion GAN: 0.3 million parameters that draw one of 32 emoji at 32 pixels in two steps.

`python -m training.ddgan` trains it, resumes what was interrupted, and writes models/starter/emoji_ddgan.
"""

from collections.abc import Sequence
from copy import deepcopy
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from trilemma.models.generators.diffusion.denoising_diffusion_gan.network import (
    Attention,
    DenoisingGenerator,
    Residual,
    Sizes,
)
from trilemma.models.generators.diffusion.denoising_diffusion_gan.process import steps_of

from .adversarial import Game, Rules, play, spread
from .command import read_arguments, save
from .loop import Schedule, train
from .pictures import Pictures, draw_pictures, load_sprites

PICTURES = 16384
STEPS = 2
SIZES = Sizes(
    channels=16, widths=(16, 24, 32), blocks=1, attended=(False, True, False), z_dim=32, styles=32, mappings=2
)
START = Schedule(steps=150, rate=3e-3, horizon=150, warmup=50, betas=(0.9, 0.99))
RULES = Rules(steps=12000, batch=16, betas=(0.5, 0.9), cooldown=3000, penalty=0.2, ema=0.998, augmented=False)
START_BATCH = 32
RATE, DISCRIMINATOR_RATE = 5e-4, 1e-3
CHANNELS = (16, 32, 64, 96)
SMALLEST = 1e-5
SLOPE = 0.2


class Discriminator(nn.Module):
    """Pairs [B, 6, 32, 32] of pictures before and after a step's noise, and the steps int64 [B], to scores [B]: whether
    the first of a pair is real, given the second. B is a multiple of GROUP."""

    def __init__(self, channels: Sequence[int] = CHANNELS) -> None:
        super().__init__()
        first, *_, last = channels
        self.first = nn.Conv2d(6, first, 3, padding=1)
        self.halvings = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 4, stride=2, padding=1) for inputs, outputs in pairwise(channels)
        )
        self.times = nn.ModuleList(nn.Embedding(STEPS, width) for width in channels)
        self.last = nn.Conv2d(last + 1, last, 3, padding=1)
        self.dense = nn.Linear(last * 16, last)
        self.score = nn.Linear(last, 1)
        for part in self.modules():
            if isinstance(part, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(part.weight, SLOPE)
                nn.init.zeros_(part.bias)
            elif isinstance(part, nn.Embedding):
                nn.init.zeros_(part.weight)

    def forward(self, pairs: Tensor, steps: Tensor) -> Tensor:
        x = self.first(pairs)
        for times, halving in zip(self.times, self.halvings, strict=False):
            x = halving(_leaky(x + times(steps)[:, :, None, None]))
        x = _leaky(x + self.times[-1](steps)[:, :, None, None])
        x = _leaky(self.last(torch.cat([x, spread(x)], dim=1)))
        return self.score(_leaky(self.dense(x.flatten(1))))[:, 0]


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE)


def initialise(network: DenoisingGenerator) -> None:
    """Each branch begins near nothing, each norm at its own scale, all else at the variance of its input."""
    for part in network.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(part.weight)
            nn.init.zeros_(part.bias)
    last = network.all_modules[-1]
    assert isinstance(last, nn.Conv2d)
    last.weight.data.mul_(SMALLEST)
    for part in network.modules():
        if isinstance(part, Residual):
            part.Conv_1.weight.data.mul_(SMALLEST)
            for norm in (part.GroupNorm_0, part.GroupNorm_1):
                norm.style.bias.data[: len(norm.style.bias) // 2] = 1
        if isinstance(part, Attention):
            for dense in (part.NIN_0, part.NIN_1, part.NIN_2, part.NIN_3):
                nn.init.xavier_uniform_(dense.W)
            part.NIN_3.W.data.mul_(SMALLEST)


def build_game(seed: int = 0) -> Game:
    """Fresh networks, the same for the same seed."""
    torch.manual_seed(seed)
    generator = DenoisingGenerator(SIZES)
    initialise(generator)
    return Game(generator, deepcopy(generator), Discriminator())


def build_optimizers(game: Game, betas: tuple[float, float]) -> dict[str, torch.optim.Optimizer]:
    return {
        "generator": torch.optim.Adam(game.generator.parameters(), lr=RATE, betas=betas, fused=True),
        "discriminator": torch.optim.Adam(
            game.discriminator.parameters(), lr=DISCRIMINATOR_RATE, betas=betas, fused=True
        ),
    }


def noised(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pairs [B, 6, S, S] of pictures [B, 3, S, S] before and after the noise of a step, and the steps, int64 [B]: all
    in turn, so that the pictures that the discriminator spreads together are of one step."""
    steps = torch.arange(len(images)) % STEPS
    process = steps_of(STEPS)
    before = torch.tensor([step.before for step in process])[steps][:, None, None, None]
    kept = torch.tensor([step.after / step.before for step in process])[steps][:, None, None, None]
    less = before.sqrt() * images + (1 - before).sqrt() * torch.randn(images.shape, generator=generator)
    more = kept.sqrt() * less + (1 - kept).sqrt() * torch.randn(images.shape, generator=generator)
    return torch.cat([less, more], dim=1), steps


def clean_loss(network: DenoisingGenerator, images: Tensor, generator: torch.Generator) -> Tensor:
    """Mean squared error of the clean pictures that the network foresees of noisy ones, whatever the latent."""
    pairs, steps = noised(images, generator)
    z = torch.randn(len(images), network.sizes.z_dim, generator=generator)
    return F.mse_loss(network(pairs[:, 3:], steps, z), images)


def draw(network: DenoisingGenerator, pairs: Tensor, steps: Tensor, generator: torch.Generator) -> Tensor:
    """Pairs whose first pictures are drawn, from the second ones: by the posterior of a clean picture."""
    more = pairs[:, 3:].detach()
    clean = network(more, steps, torch.randn(len(more), network.sizes.z_dim, generator=generator))
    process = steps_of(STEPS)
    shares = torch.tensor([[step.clean, step.noisy, step.deviation] for step in process])[steps].T
    of_clean, of_noisy, deviation = shares[:, :, None, None, None]
    less = of_clean * clean + of_noisy * more + deviation * torch.randn(more.shape, generator=generator)
    return torch.cat([less, more], dim=1)


def fit(game: Game, pictures: Pictures, runs: Path, start: Schedule = START, rules: Rules = RULES) -> None:
    """Train `game` in place; checkpoints in `runs` are resumed.

    First the generator alone, by squared error: it learns where things are sooner than a discriminator can tell it, and
    is blurred where a step leaves several pictures possible. What is likely of those the game teaches.
    """

    def losses_at(step: int) -> dict[str, Tensor]:
        images, _ = pictures.batch(np.random.default_rng([35, step]), START_BATCH)
        return {"clean": clean_loss(game.generator, images, torch.Generator().manual_seed(step))}

    def batch_at(step: int) -> tuple[Tensor, Tensor]:
        images, _ = pictures.batch(np.random.default_rng([34, step]), rules.batch)
        return noised(images, torch.Generator().manual_seed(step))

    train(game.generator, losses_at, start, runs / "ddgan_start.pt")
    game.average.load_state_dict(game.generator.state_dict())
    play(
        game,
        lambda pairs, steps, generator: draw(game.generator, pairs, steps, generator),
        batch_at,
        build_optimizers(game, rules.betas),
        rules,
        runs / "ddgan.pt",
    )


def export(game: Game, folder: Path) -> None:
    """Write the moving average in half precision, named as in published files; its metadata tells the steps."""
    save(game.average.state_dict(), {"architecture": "ddgan", "num_timesteps": STEPS}, folder)


def main() -> None:
    arguments = read_arguments(__doc__, "emoji_ddgan")
    game = build_game()
    fit(game, draw_pictures(load_sprites(arguments.data), PICTURES), arguments.runs)
    export(game, arguments.output)


if __name__ == "__main__":
    main()
