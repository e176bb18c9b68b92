"""The scoring network: a classifier of the 32 emoji that the starter generators draw.

`python -m training.classifier` trains it, resumes what was interrupted, and writes models/starter/emoji_classifier.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import _pack, scenes  # noqa: F401
from .loop import Schedule, train
from .pictures import NAMES, TRAINING, Pictures, draw_pictures, load_sprites

from trilemma.models.scoring.classifier import Classifier  # isort: skip

RUNS = Path(__file__).parent / "runs"
STARTER = Path(__file__).parents[1] / "models" / "starter" / "emoji_classifier"
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
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    unseen = {"architecture": "classifier", "class_names": NAMES}
    weights = {key: value.half().contiguous() for key, value in network.state_dict().items()}
    path = folder / "model.safetensors"
    save_file(weights, path, metadata={"format": "pt", "trilemma": json.dumps(unseen)})
    path.chmod(0o644)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=scenes.DATA)
    parser.add_argument("--runs", type=Path, default=RUNS, help="where checkpoints are kept")
    parser.add_argument("--output", type=Path, default=STARTER)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    network = Classifier(NAMES)
    fit(network, draw_pictures(load_sprites(arguments.data), PICTURES, TRAINING), arguments.runs)
    export(network, arguments.output)


if __name__ == "__main__":
    main()
