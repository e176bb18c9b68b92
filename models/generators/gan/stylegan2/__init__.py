"""StyleGAN2 and StyleGAN2-ADA generators (Karras et al. 2019, 2020).

Read from shapes: latent sizes, classes, mapping layers, resolution, channels, colours. Cannot be detected, and the
same in every published file: the mapping's learning rate (`mapping.RATE`), the leaky ReLU's slope and the clamp
(`layers.SLOPE`, `layers.CLAMP`). Names of classes come from the metadata of the pack's own files.
"""

from __future__ import annotations

from functools import partial
from itertools import count, takewhile
from pathlib import Path
from typing import Final

from .... import weights
from ....families import Family
from ....files.checkpoints import Checkpoint, described
from ....files.folders import weight_files
from ....files.usual_names import usual_names
from ....random_weights import write_random
from ....weights import DtypeFor, Tensors, empty_weights, full_precision
from .generator import StyleGAN2Generator
from .network import Sizes, StyleGAN2

NAME: Final = "StyleGAN2"


def detect(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint is a StyleGAN2 generator with skip connections."""
    return {"synthesis.b4.const", "synthesis.b4.torgb.weight", "mapping.fc0.weight"} <= checkpoint.tensors.keys()


def sizes(tensors: Tensors) -> Sizes:
    """Hyper-parameters of a state dict that `detect` claims."""
    w_dim, inputs = tensors["mapping.fc0.weight"].shape
    embed = tensors.get("mapping.embed.weight")
    sides = takewhile(lambda side: f"synthesis.b{side}.conv1.weight" in tensors, (4 << index for index in count()))
    return Sizes(
        z_dim=inputs - (0 if embed is None else w_dim),
        c_dim=0 if embed is None else embed.shape[1],
        w_dim=w_dim,
        num_layers=weights.count_layers(tensors, "mapping.fc{}.weight"),
        channels=tuple(len(tensors[f"synthesis.b{side}.conv1.weight"]) for side in sides),
        img_channels=len(tensors["synthesis.b4.torgb.weight"]),
    )


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> StyleGAN2Generator:
    """Build the generator of a checkpoint that `detect` claims.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape.
    """
    with empty_weights():
        network = StyleGAN2(sizes(checkpoint.tensors))
    weights.fill(network, checkpoint.tensors, f"{checkpoint.name}, {NAME}")
    names = tuple(described(checkpoint.metadata).get("class_names", ()))
    return StyleGAN2Generator(NAME, network, names, weights.identity(checkpoint.tensors))


def tiny(folder: Path) -> Path:
    return write_random(folder, StyleGAN2(Sizes(8, 3, 6, 2, (12, 8, 4), 3)))


FAMILY: Final = Family(NAME, detect, load, tiny, weight_files, partial(usual_names, NAME))
