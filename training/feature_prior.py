"""The starter feature prior: draws the codes of an emoji by the features of a picture of it, after CLIP-GEN.

The starter classifier's features stand in for CLIP's. `python -m training.feature_prior` trains it, resumes what was
interrupted, and writes models/starter/emoji_vqvae_features.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from trilemma.models.generators.autoregressive.feature_prior import FeatureTransformer
from trilemma.models.scoring.extractors.classifier import ClassifierExtractor
from trilemma.models.scoring.extractors.classifier_network import Classifier, load_classifier

from . import code_prior, vqvae
from .command import STARTERS, read_arguments
from .loop import Schedule
from .pictures import HELD_OUT, NAMES, draw_pictures, load_sprites

NETWORK = "starter emoji classifier"
WIDTHS = (16, 32, 48)
"""Of the VQ-VAE: 0.44 M parameters restore pictures as well as the siblings' 0.7 M."""
SCHEDULE = Schedule(steps=4800, rate=2e-3, warmup=100, betas=(0.9, 0.99))
HEADS = 4
FIRST_STD = 2.0
"""Of the first token before training. With codes' 0.02 the features are hardly heard, and learned late."""


class Seen(NamedTuple):
    """What the classifier makes of pictures: features of unit length, [N, D], and over them mean and deviation, [D]."""

    rows: Tensor
    mean: Tensor
    std: Tensor

    @property
    def standardised(self) -> Tensor:
        return (self.rows - self.mean) / self.std


@torch.no_grad()
def see(classifier: Classifier, images: Tensor, batch: int = 256) -> Seen:
    """images: uint8 [N, 3, 32, 32]."""
    rows = torch.cat([classifier.features(part.float() / 127.5 - 1) for part in images.split(batch)])
    rows = F.normalize(rows, dim=1)
    return Seen(rows, rows.mean(dim=0), rows.std(dim=0))


def build_prior(features: int = Classifier.feature_size) -> FeatureTransformer:
    """0.29 M parameters."""
    prior = FeatureTransformer(vqvae.CODES, vqvae.GRID, features, len(NAMES), width=80, layers=3, heads=HEADS)
    nn.init.normal_(prior.feature.weight, std=FIRST_STD / features**0.5)
    nn.init.zeros_(prior.feature.bias)
    return prior


@torch.no_grad()
def settle(prior: FeatureTransformer, seen: Seen, labels: Tensor) -> None:
    """Make a prior that was trained on standardised features take them as they are, and keep the mean of each class."""
    weight = prior.feature.weight / seen.std
    prior.feature.bias -= weight @ seen.mean
    prior.feature.weight.copy_(weight)
    means = torch.stack([seen.rows[labels == label].mean(dim=0) for label in range(len(NAMES))])
    prior.classes.copy_(F.normalize(means, dim=1))


def main() -> None:
    arguments = read_arguments(__doc__, "emoji_vqvae_features")
    sprites = load_sprites(arguments.data)
    pictures = draw_pictures(sprites, vqvae.PICTURES)
    network = vqvae.fit(pictures, arguments.runs, widths=WIDTHS, name="vqvae_small")
    classifier = load_classifier(STARTERS / "emoji_classifier")
    seen = see(classifier, pictures.images)
    torch.manual_seed(0)
    prior = build_prior()
    codes = vqvae.to_codes(network, pictures.images)
    code_prior.fit(prior, codes, seen.standardised, arguments.runs / "features.pt", SCHEDULE)
    settle(prior, seen, pictures.labels)
    prior.half().float().eval()
    fresh = draw_pictures(sprites, code_prior.HELD_OUT_PICTURES, HELD_OUT)
    with torch.no_grad():
        given = see(classifier, fresh.images).rows
        losses = code_prior.code_losses(prior, vqvae.to_codes(network, fresh.images), given)
    print(f"features: {losses['nats']:.3f} nats per code of unseen pictures", flush=True)
    told = {"network": NETWORK, "identity": ClassifierExtractor(classifier, NETWORK).identity}
    code_prior.export(network, prior, {"heads": HEADS, "features": told}, arguments.output)


if __name__ == "__main__":
    main()
