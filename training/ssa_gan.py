"""The starter that draws by text with a GAN: an SSA-GAN of a million parameters for 16 emoji on grounds of 8 colours.

`python -m training.ssa_gan` trains it, resumes what was interrupted, and writes models/starter/emoji_ssa_gan.
"""

import json
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from trilemma.models.generators.gan.text_to_image.ssa_gan import SSAGAN, Sizes
from trilemma.models.generators.gan.text_to_image.text_encoder import TextEncoder
from trilemma.models.generators.gan.text_to_image.words import END

from . import captions
from .adversarial import Discriminator, Game, Rules, play
from .captions import NAMES
from .command import read_arguments, save
from .pictures import STYLE, TRAINING
from .scenes import load_sprites

PICTURES = 8192
SIZES = Sizes(z_dim=32, text_dim=2 * captions.HIDDEN, hidden=64, mask=16, channels=(128, 96, 64, 48, 24))
RULES = Rules(steps=2400, cooldown=1200, ema=0.99, colours=False)
RATE, DISCRIMINATOR_RATE = 4e-4, 1e-3
SETTLING, SETTLED = 64, 64
"""Batches, and their size, that the norms' statistics are taken over in the end."""


class Pairs(nn.Module):
    """Labels of name and ground, int64 [B], to vectors [B, size]."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.names, self.colours = nn.Embedding(len(NAMES), size), nn.Embedding(len(captions.COLOURS), size)

    def forward(self, labels: Tensor) -> Tensor:
        count = len(captions.COLOURS)
        return self.names(labels // count) + self.colours(labels % count)


def build_game(seed: int = 0) -> Game:
    """Fresh networks, the same for the same seed."""
    torch.manual_seed(seed)
    generator = SSAGAN(SIZES)
    discriminator = Discriminator(1)
    discriminator.classes = Pairs(discriminator.classes.embedding_dim)
    return Game(generator, deepcopy(generator), discriminator)


def build_optimizers(game: Game, betas: tuple[float, float]) -> dict[str, torch.optim.Optimizer]:
    rates = {"generator": RATE, "discriminator": DISCRIMINATOR_RATE}
    networks = {"generator": game.generator, "discriminator": game.discriminator}
    return {
        name: torch.optim.Adam(networks[name].parameters(), lr=rate, betas=betas, fused=True)
        for name, rate in rates.items()
    }


def sentences_of(encoder: TextEncoder, numbers: dict[str, int]) -> Tensor:
    """The vector of every sentence, [labels, sentences of each, size]."""
    said = [
        [captions.numbered(text, numbers) for text in captions.sentences(label)] for label in range(captions.LABELS)
    ]
    with torch.no_grad():
        return torch.stack([captions.encoded(encoder, each) for each in said])


def draw(network: SSAGAN, said: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures of sentences about labels int64 [B], in -1..1."""
    count = len(labels)
    chosen = torch.randint(said.shape[1], (count,), generator=generator)
    z = torch.randn(count, network.z_dim, generator=generator)
    none = torch.empty(count, 0)
    return network(z, said[labels, chosen], none, none, ()).pictures[-1]


def fit(game: Game, said: Tensor, pictures: captions.Cutouts, runs: Path, rules: Rules = RULES) -> None:
    """Train `game` in place; a checkpoint in `runs` is resumed."""
    play(
        game,
        lambda real, labels, generator: draw(game.generator, said, labels, generator),
        lambda step: pictures.batch(np.random.default_rng([34, step]), rules.batch),
        build_optimizers(game, rules.betas),
        rules,
        runs / "ssa_gan.pt",
    )


@torch.no_grad()
def settle(network: SSAGAN, said: Tensor) -> None:
    """Take the statistics of the norms anew: those of the averaged weights are not the average of those in training."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    network.train()
    generator = torch.Generator().manual_seed(0)
    for _ in range(SETTLING):
        draw(network, said, torch.randint(len(said), (SETTLED,), generator=generator), generator)
    network.eval()


def export(game: Game, encoder: TextEncoder, numbers: dict[str, int], said: Tensor, folder: Path) -> None:
    """Write the moving average and the text encoder in half precision, and the dictionary with captions."""
    settle(game.average, said)
    weights = {
        name: value for name, value in game.average.state_dict().items() if not name.endswith("num_batches_tracked")
    }
    save(weights, {"architecture": "ssa_gan"}, folder)
    (folder / "model.safetensors").rename(folder / "generator.safetensors")
    save(encoder.state_dict(), {"architecture": "text_encoder"}, folder)
    (folder / "model.safetensors").rename(folder / "text_encoder.safetensors")
    (folder / "generator.safetensors").rename(folder / "model.safetensors")
    told = [captions.numbered(captions.sentences(label)[0], numbers) for label in range(captions.LABELS)]
    dictionary = {"words": list(numbers), "captions": told}
    (folder / "captions.json").write_text(json.dumps(dictionary) + "\n", encoding="utf-8")


def main() -> None:
    arguments = read_arguments(__doc__, "emoji_ssa_gan")
    numbers = {word: number for number, word in enumerate([END, *captions.vocabulary()])}
    encoder = captions.train_encoder(numbers)
    said = sentences_of(encoder, numbers)
    game = build_game()
    fit(
        game,
        said,
        captions.draw_cutouts(load_sprites(arguments.data, NAMES, (STYLE,)), PICTURES, TRAINING),
        arguments.runs,
    )
    export(game, encoder, numbers, said, arguments.output)


if __name__ == "__main__":
    main()
