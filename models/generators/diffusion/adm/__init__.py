"""Guided diffusion (Dhariwal and Nichol, 2021, arXiv 2105.05233), or ADM, and improved DDPM, by their own files.

`64x64_diffusion.pt` to `512x512_diffusion.pt`, the models of LSUN, and the two that enlarge. What their shapes do not
tell is known of the published ones, and of others told by a `config.json` beside them, with the flags of the
reference's scripts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch

from .... import imagenet, weights
from ....errors import BadCheckpoint
from ....families import Family
from ....files import beside
from ....files.checkpoints import Checkpoint
from ....random_weights import random_weights, write
from ....weights import DtypeFor, empty_weights, full_precision
from . import layouts
from .generator import COLOURS, GuidedDiffusion
from .network import Sizes, UNet

NAME: Final = "guided diffusion"
SIGNS: Final = (
    layouts.FIRST,
    layouts.TIME,
    layouts.LAST,
    "input_blocks.1.0.in_layers.2.weight",
    "middle_block.1.qkv.weight",
    "output_blocks.0.0.in_layers.2.weight",
)
PARTS: Final = frozenset({"time_embed", "label_emb", "input_blocks", "middle_block", "output_blocks", "out"})
LATENT: Final = "first_stage_model"
"""What lies beside such a U-Net whose pictures are latents."""


def detect(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint is a U-Net in this layout that draws pictures, by itself."""
    tensors = checkpoint.tensors
    return (
        all(name in tensors for name in SIGNS)
        and all(name.partition(".")[0] in PARTS for name in tensors)
        and not any(LATENT in note for note in checkpoint.notes)
    )


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> GuidedDiffusion:
    """Build the generator of a checkpoint that `detect` claims.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape; nothing tells what shapes do not.
    """
    what = f"{checkpoint.name}, {NAME}"
    sizes = layouts.sizes_of(checkpoint.tensors, what)
    if sizes.inputs not in (COLOURS, 2 * COLOURS) or sizes.outputs not in (COLOURS, 2 * COLOURS):
        raise BadCheckpoint(
            f"{what}: it takes {sizes.inputs} channels and gives {sizes.outputs}; the pack draws with those that take "
            "3, or 6 to enlarge, and give 3, or 6 with variances. Choose another file."
        )
    told = layouts.told(sizes, beside.settings(checkpoint), what)
    sizes = layouts.with_told(sizes, told)
    with empty_weights():
        network = UNet(sizes)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    weights.fill(network, checkpoint.tensors, what, dtype_for(parameters))
    network.to(memory_format=torch.channels_last)
    names = imagenet.names_of(sizes.classes)
    return GuidedDiffusion(NAME, network, told, names, weights.identity(checkpoint.tensors))


def _tiny_sizes() -> Sizes:
    return Sizes(32, (32, 64), 1, (False, True), classes=3, head_channels=32)


def tiny(folder: Path) -> Path:
    # A network that foresees noise divides by what little signal the first steps have, and so magnifies rounding.
    flags = {
        "predict_xstart": True,
        "image_size": 16,
        "num_channels": 32,
        "num_head_channels": 32,
        "use_new_attention_order": True,
        "noise_schedule": "linear",
        "diffusion_steps": 1000,
    }
    return write(folder / "tiny.safetensors", random_weights(UNet(_tiny_sizes())), **flags)


def _typical() -> frozenset[str]:
    with empty_weights():
        return frozenset(UNet(Sizes(32, (32, 64, 96, 128), 3, (False, True, True, True), classes=10)).state_dict())


FAMILY: Final = Family(NAME, detect, load, tiny, beside.files, _typical)
