"""What the starter priors over the VQ-VAE's codes share: their data, their loss, and the file that ships."""

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import _pack, scenes, vqvae  # noqa: F401
from .loop import Schedule, train
from .pictures import HELD_OUT, NAMES, draw_pictures, load_sprites

from trilemma.models.generators.code_prior import CodePrior  # isort: skip

if TYPE_CHECKING:
    from diffusers import VQModel

RUNS = Path(__file__).parent / "runs"
STARTERS = Path(__file__).parents[1] / "models" / "starter"
BATCH = 32
HELD_OUT_PICTURES = 1024


def code_losses(prior: CodePrior, codes: Tensor, labels: Tensor) -> Mapping[str, Tensor]:
    """Negative log-likelihood in nats per code. codes: int64 [B, h, w]; labels: int64 [B]."""
    return {"nats": F.cross_entropy(prior(codes, labels).transpose(1, 2), codes.flatten(1))}


def fit(prior: CodePrior, codes: Tensor, labels: Tensor, checkpoint: Path, schedule: Schedule) -> None:
    """Train `prior` in place on codes [N, h, w] of pictures with labels [N]; a checkpoint is resumed."""

    def losses_at(step: int) -> Mapping[str, Tensor]:
        chosen = torch.from_numpy(np.random.default_rng([35, step]).integers(len(codes), size=BATCH))
        return code_losses(prior, codes[chosen], labels[chosen])

    train(prior, losses_at, schedule, checkpoint)


def export(network: "VQModel", prior: CodePrior, unseen: Mapping[str, Any], folder: Path) -> None:
    """Write both networks into one file, in half precision; `unseen` is what the shapes of the prior cannot tell."""
    from safetensors.torch import save_file

    told = {
        **unseen,
        "norm_num_groups": vqvae.NORM_GROUPS,
        "class_names": NAMES,
    }
    parts = {"vqvae": network.state_dict(), "prior": prior.state_dict()}
    weights = {f"{part}.{key}": value.half().contiguous() for part in parts for key, value in parts[part].items()}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.safetensors"
    save_file(weights, path, metadata={"format": "pt", "trilemma": json.dumps(told)})
    path.chmod(0o644)


def main(
    description: str, name: str, build: Callable[[], CodePrior], schedule: Schedule, unseen: Mapping[str, Any]
) -> None:
    """Train and export the prior `name`, which `build` makes; the VQ-VAE comes first where it is still to do."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=scenes.DATA)
    parser.add_argument("--runs", type=Path, default=RUNS, help="where checkpoints are kept")
    parser.add_argument("--output", type=Path, default=STARTERS / f"emoji_vqvae_{name}")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    sprites = load_sprites(arguments.data)
    pictures = draw_pictures(sprites, vqvae.PICTURES)
    network = vqvae.fit(pictures, arguments.runs)
    torch.manual_seed(0)
    prior = build()
    fit(prior, vqvae.to_codes(network, pictures.images), pictures.labels, arguments.runs / f"{name}.pt", schedule)
    prior.half().float().eval()
    fresh = draw_pictures(sprites, HELD_OUT_PICTURES, HELD_OUT)
    with torch.no_grad():
        losses = code_losses(prior, vqvae.to_codes(network, fresh.images), fresh.labels)
    print(f"{name}: {losses['nats']:.3f} nats per code of unseen pictures", flush=True)
    export(network, prior, unseen, arguments.output)
