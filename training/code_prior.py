"""What the starter priors over the VQ-VAE's codes share: their data, their loss, and the file that ships."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from trilemma.models.generators.autoregressive.code_prior import CodePrior

from . import vqvae
from .command import read_arguments, save
from .loop import Schedule, train
from .pictures import HELD_OUT, NAMES, draw_pictures, load_sprites

if TYPE_CHECKING:
    from diffusers import VQModel

STARTERS = Path(__file__).parents[1] / "models" / "starter"
BATCH = 32
HELD_OUT_PICTURES = 1024


def code_losses(prior: CodePrior, codes: Tensor, labels: Tensor) -> Mapping[str, Tensor]:
    """Negative log-likelihood in nats per code. codes: int64 [B, h, w]; labels: what the prior draws by, [B, ...]."""
    return {"nats": F.cross_entropy(prior(codes, labels).transpose(1, 2), codes.flatten(1))}


def fit(prior: CodePrior, codes: Tensor, labels: Tensor, checkpoint: Path, schedule: Schedule) -> None:
    """Train `prior` in place on codes [N, h, w] of pictures with labels [N, ...]; a checkpoint is resumed."""

    def losses_at(step: int) -> Mapping[str, Tensor]:
        chosen = torch.from_numpy(np.random.default_rng([35, step]).integers(len(codes), size=BATCH))
        return code_losses(prior, codes[chosen], labels[chosen])

    train(prior, losses_at, schedule, checkpoint)


def export(network: "VQModel", prior: CodePrior, unseen: Mapping[str, Any], folder: Path) -> None:
    """Write both networks into one file, in half precision; `unseen` is what the shapes of the prior cannot tell."""
    told = {
        **unseen,
        "norm_num_groups": vqvae.NORM_GROUPS,
        "class_names": NAMES,
    }
    parts = {"vqvae": network.state_dict(), "prior": prior.state_dict()}
    weights = {f"{part}.{key}": value for part in parts for key, value in parts[part].items()}
    save(weights, told, folder)


def main(
    description: str, name: str, build: Callable[[], CodePrior], schedule: Schedule, unseen: Mapping[str, Any]
) -> None:
    """Train and export the prior `name`, which `build` makes; the VQ-VAE comes first where it is still to do."""
    arguments = read_arguments(description, f"emoji_vqvae_{name}")
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
