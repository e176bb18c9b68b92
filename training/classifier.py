"""The scoring network: a classifier of the 32 emoji that the starter generators draw.

`python -m training.classifier` trains it, resumes what was interrupted, and writes models/starter/emoji_classifier.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from trilemma.models.scoring.extractors.classifier_network import Classifier

from .command import read_arguments, save
from .loop import Schedule, train
from .pictures import NAMES, TRAINING, Pictures, draw_pictures, load_sprites

PICTURES = 8192
BATCH = 64
SCHEDULE = Schedule(steps=600, rate=3e-3, warmup=50, betas=(0.9, 0.99))


def fit(network: Classifier, pictures: Pictures, runs: Path, schedule: Schedule = SCHEDULE) -> None:
    """Train `network` in place; a checkpoint in `runs` is resumed. A little noise on the pictures keeps it honest."""

    def losses_at(step: int) -> Mapping[str, Tensor]:
        images, labels = pictures.batch(np.random.default_rng([33, step]), BATCH)
        noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(step))
        return {"entropy": F.cross_entropy(network(images + 0.1 * noise), labels)}

    train(network, losses_at, schedule, runs / "classifier.pt")


def export(network: Classifier, folder: Path) -> None:
    """Write the weights in half precision; their metadata names the classes."""
    save(network.state_dict(), {"architecture": "classifier", "class_names": NAMES}, folder)


def main() -> None:
    arguments = read_arguments(__doc__, "emoji_classifier")
    torch.manual_seed(0)
    network = Classifier(NAMES)
    fit(network, draw_pictures(load_sprites(arguments.data), PICTURES, TRAINING), arguments.runs)
    export(network, arguments.output)


if __name__ == "__main__":
    main()
