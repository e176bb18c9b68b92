"""Denoising diffusion GANs (Xiao et al., 2022, arXiv 2112.07804) by their own files, `netG_<epoch>.pth`.

The paper that named the generative learning trilemma: a GAN draws each of a few large steps of a diffusion. Published
are CIFAR-10 at 32 pixels, of 4 steps, and CelebA-HQ at 256, of 2. What shapes do not tell is known of those, and of
others told by a `config.json` beside them, with the flags of the reference's scripts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from .... import weights
from ....families import Family
from ....files import beside
from ....files.checkpoints import Checkpoint
from ....random_weights import write_random
from ....weights import DtypeFor, empty_weights, full_precision
from . import layouts
from .generator import DenoisingDiffusionGAN
from .network import DenoisingGenerator, Sizes

NAME: Final = "denoising diffusion GAN"


def detect(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint is an NCSN++ U-Net whose norms a mapped latent scales and shifts."""
    return all(name in checkpoint.tensors for name in layouts.SIGNS)


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> DenoisingDiffusionGAN:
    """Build the generator of a checkpoint that `detect` claims.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape; nothing tells what shapes do not.
    """
    what = f"{checkpoint.name}, {NAME}"
    sizes = layouts.sizes_of(checkpoint.tensors)
    with empty_weights():
        network = DenoisingGenerator(sizes)
    weights.fill(network, checkpoint.tensors, what)
    told = layouts.told(sizes, beside.settings(checkpoint), what)
    return DenoisingDiffusionGAN(NAME, network, told.side, told.steps, weights.identity(checkpoint.tensors))


def tiny(folder: Path) -> Path:
    sizes = Sizes(16, (16, 32), 1, (False, True), z_dim=10, styles=16, mappings=1)
    return write_random(folder, DenoisingGenerator(sizes), num_timesteps=2)


def _typical() -> frozenset[str]:
    with empty_weights():
        return frozenset(DenoisingGenerator(layouts.CIFAR10).state_dict())


FAMILY: Final = Family(NAME, detect, load, tiny, beside.files, _typical)
