"""The starter GAN: a class-conditional StyleGAN2 of 0.6 million parameters that draws 32 emoji at 32 pixels.

`python -m training.stylegan2` trains it, resumes what was interrupted, and writes models/starter/emoji_stylegan2.
"""

from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from trilemma.models.generators.gan.stylegan2.network import Sizes, StyleGAN2

from .adversarial import Discriminator, Game, Rules, play
from .command import read_arguments, save
from .pictures import NAMES, Pictures, draw_pictures, load_sprites

PICTURES = 16384
SIZES = Sizes(z_dim=64, c_dim=len(NAMES), w_dim=64, num_layers=2, channels=(128, 96, 64, 32), img_channels=3)
RULES = Rules(steps=5000, cooldown=4000)
RATE, MAPPING_RATE, DISCRIMINATOR_RATE = 5e-3, 5e-2, 1e-3
AVERAGED = 256


def build_game(seed: int = 0) -> Game:
    """Fresh networks, the same for the same seed."""
    torch.manual_seed(seed)
    generator = StyleGAN2(SIZES)
    return Game(generator, deepcopy(generator), Discriminator(len(NAMES)))


def build_optimizers(game: Game, betas: tuple[float, float]) -> dict[str, torch.optim.Optimizer]:
    """The mapping's weights are a hundred times as large as the others, so that it would hardly learn at their rate."""
    groups = [
        {"params": list(game.generator.synthesis.parameters()), "lr": RATE},
        {"params": list(game.generator.mapping.parameters()), "lr": MAPPING_RATE},
    ]
    return {
        "generator": torch.optim.Adam(groups, betas=betas, fused=True),
        "discriminator": torch.optim.Adam(
            game.discriminator.parameters(), lr=DISCRIMINATOR_RATE, betas=betas, fused=True
        ),
    }


def draw(network: StyleGAN2, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures of classes int64 [B], about -1..1, with fresh noise."""
    count = len(labels)
    z = torch.randn(count, network.sizes.z_dim, generator=generator)
    noise = [torch.randn(count, 1, side, side, generator=generator) for side in network.noise_sides]
    return network(network.styles(z, labels), noise)


def fit(game: Game, pictures: Pictures, runs: Path, rules: Rules = RULES) -> None:
    """Train `game` in place; a checkpoint in `runs` is resumed."""
    play(
        game,
        lambda real, labels, generator: draw(game.generator, labels, generator),
        lambda step: pictures.batch(np.random.default_rng([33, step]), rules.batch),
        build_optimizers(game, rules.betas),
        rules,
        runs / "stylegan2.pt",
    )


@torch.no_grad()
def measure_mean(network: StyleGAN2, draws: int = AVERAGED) -> None:
    """Set the mean latent, which truncation pulls to, from `draws` of every class."""
    labels = torch.arange(network.sizes.c_dim).repeat(draws)
    z = torch.randn(len(labels), network.sizes.z_dim, generator=torch.Generator().manual_seed(0))
    network.mapping.w_avg.copy_(network.mapping(z, labels).mean(dim=0))


def export(game: Game, folder: Path) -> None:
    """Write the moving average in half precision; its metadata names the classes."""
    measure_mean(game.average)
    save(game.average.state_dict(), {"architecture": "stylegan2", "class_names": NAMES}, folder)


def main() -> None:
    arguments = read_arguments(__doc__, "emoji_stylegan2")
    game = build_game()
    fit(game, draw_pictures(load_sprites(arguments.data), PICTURES), arguments.runs)
    export(game, arguments.output)


if __name__ == "__main__":
    main()
