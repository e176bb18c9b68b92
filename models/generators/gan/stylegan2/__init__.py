"""StyleGAN2 and StyleGAN2-ADA generators (Karras et al. 2019, 2020).

Read from shapes: latent sizes, classes, mapping layers, resolution, channels, colours. Read from the settings in a
snapshot: the clamp, and the mapping's learning rate; a state dict alone has those of NVIDIA's training (`layers.CLAMP`,
`mapping.RATE`). The leaky ReLU's slope is the same in every file (`layers.SLOPE`). Names of classes come from the
metadata of the pack's own files.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import count, takewhile
from pathlib import Path
from typing import Any, Final

from .... import weights
from ....errors import BadCheckpoint
from ....families import Family
from ....files.checkpoints import Checkpoint, described
from ....files.folders import weight_files
from ....files.usual_names import usual_names
from ....random_weights import write_random
from ....weights import DtypeFor, Tensors, empty_weights, full_precision
from ..style_generator import NUMPY, TORCH
from .generator import StyleGAN2Generator
from .layers import CLAMP
from .mapping import RATE
from .network import Settings, Sizes, StyleGAN2

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


def settings(values: Mapping[str, Any], what: str) -> Settings:
    """What a snapshot's constructor arguments say that shapes cannot tell; without any, as NVIDIA trains.

    what: the file, as messages begin.

    Raises:
        BadCheckpoint: a network that the pack does not build.
    """
    given = values.get("_init_kwargs")
    if not isinstance(given, Mapping):
        return Settings()
    # The code of StyleGAN2-ADA passes them on as a dict, and clamps nothing unless told; StyleGAN3's takes them itself.
    apart = isinstance(given.get("synthesis_kwargs"), Mapping)
    synthesis = given["synthesis_kwargs"] if apart else given
    mapping = given.get("mapping_kwargs")
    mapping = mapping if isinstance(mapping, Mapping) else {}
    for name, part, built in (
        ("activation", synthesis, "lrelu"),
        ("activation", mapping, "lrelu"),
        ("architecture", synthesis, "skip"),
    ):
        if part.get(name, built) != built:
            raise BadCheckpoint(
                f"{what}: its {name} is {part[name]!r}; the pack builds {built!r} alone. Choose another file."
            )
    clamp = synthesis.get("conv_clamp", None if apart else CLAMP)
    return Settings(clamp, mapping.get("lr_multiplier", RATE))


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> StyleGAN2Generator:
    """Build the generator of a checkpoint that `detect` claims.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape.
    """
    what = f"{checkpoint.name}, {NAME}"
    told = settings(checkpoint.values, what)
    with empty_weights():
        network = StyleGAN2(sizes(checkpoint.tensors), told)
    weights.fill(network, checkpoint.tensors, what)
    names = tuple(described(checkpoint.metadata).get("class_names", ()))
    identity = weights.identity(checkpoint.tensors)
    # What NVIDIA publishes draws as NVIDIA's script does.
    published = isinstance(checkpoint.values.get("_init_kwargs"), Mapping)
    own = (NUMPY, "const") if published else (TORCH, "random")
    return StyleGAN2Generator(NAME, network, names, identity, *own)


def tiny(folder: Path) -> Path:
    return write_random(folder, StyleGAN2(Sizes(8, 3, 6, 2, (12, 8, 4), 3)))


FAMILY: Final = Family(NAME, detect, load, tiny, weight_files, partial(usual_names, NAME))
