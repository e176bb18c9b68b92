"""StyleGAN3 generators, t and r (Karras et al. 2021).

Read from names and shapes: latent sizes, classes, mapping layers, resolution, colours, channels, kernels, round
filters.
Read from the settings in a snapshot: bands, margins, the clamp, the mapping's learning rate, the scale of the output; a
state dict alone has those of NVIDIA's training (`design.Settings`). Filters come from the file; where it holds none at
all, they are designed, as the official constructor does. `magnitude_ema_beta` and what else only training uses changes
no picture.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from .... import weights
from ....errors import BadCheckpoint
from ....families import Family
from ....files.checkpoints import Checkpoint, described
from ....files.folders import weight_files
from ....files.usual_names import usual_names
from ....random_weights import random_weights, write
from ....weights import DtypeFor, Tensors, full_precision, undrawn_weights
from ..stylegan2.mapping import RATE
from .design import Settings, Sizes
from .generator import StyleGAN3Generator
from .network import StyleGAN3

NAME: Final = "StyleGAN3"
LAYER: Final = re.compile(r"synthesis\.(L(\d+)_(\d+)_\d+)\.weight")
DESIGNED: Final = ("up_filter", "down_filter", "transform")
"""Last parts of the names of what the constructor makes and training leaves alone."""


def detect(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint is a StyleGAN3 generator; StyleGAN-XL's embeds its classes by another network."""
    tensors = checkpoint.tensors
    needed = {"synthesis.input.freqs", "synthesis.input.affine.weight", "mapping.fc0.weight"}
    return needed <= tensors.keys() and not any(name.startswith("mapping.embed_proj.") for name in tensors)


def sizes(tensors: Tensors) -> Sizes:
    """Hyper-parameters of a state dict that `detect` claims.

    Raises:
        KeyError: there are no layers.
    """
    found = sorted((int(match[2]), match[1], int(match[3])) for match in map(LAYER.fullmatch, tensors) if match)
    if len(found) < 2:
        raise KeyError("synthesis.L1.weight")
    shapes = [tensors[f"synthesis.{name}.weight"].shape for _, name, _ in found]
    w_dim, inputs = tensors["mapping.fc0.weight"].shape
    embed = tensors.get("mapping.embed.weight")
    downward = [value for name, value in tensors.items() if name.endswith(".down_filter")]
    kernel = shapes[0][-1]
    return Sizes(
        z_dim=inputs - (0 if embed is None else w_dim),
        c_dim=0 if embed is None else embed.shape[1],
        w_dim=w_dim,
        num_mapping_layers=weights.count_layers(tensors, "mapping.fc{}.weight"),
        resolution=found[-1][2],
        img_channels=shapes[-1][0],
        channels=tuple(shape[1] for shape in shapes),
        kernel=kernel,
        radial=any(value.ndim == 2 for value in downward) if downward else kernel == 1,
    )


def settings(values: Mapping[str, Any], what: str) -> Settings:
    """What a snapshot's constructor arguments say that shapes cannot tell; without any, as NVIDIA trains.

    what: the file, as messages begin.

    Raises:
        BadCheckpoint: an argument is no number.
    """
    given = values.get("_init_kwargs")
    if not isinstance(given, Mapping):
        return Settings()
    mapping = given.get("mapping_kwargs")
    mapping = mapping if isinstance(mapping, Mapping) else {}
    told = {
        **{name: given[name] for name in Settings._fields if name in given},
        **({"clamp": given["conv_clamp"]} if "conv_clamp" in given else {}),
        **({"rate": mapping["lr_multiplier"]} if "lr_multiplier" in mapping else {}),
    }
    for name, value in told.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number and not (name == "clamp" and value is None):
            raise BadCheckpoint(f"{what}: its {name} is {value!r}, which is no number. Choose another file.")
    return Settings(**told)


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> StyleGAN3Generator:
    """Build the generator of a checkpoint that `detect` claims.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape.
    """
    what = f"{checkpoint.name}, {NAME}"
    found = sizes(checkpoint.tensors)
    told = settings(checkpoint.values, what)
    if len(found.channels) - 1 <= told.num_critical:
        raise BadCheckpoint(
            f"{what}: it has {len(found.channels)} layers, too few for {told.num_critical} at the full bandwidth. "
            "Choose another file."
        )
    with undrawn_weights():
        network = StyleGAN3(found, told)
    tensors = dict(checkpoint.tensors)
    if not any(name.endswith(".up_filter") for name in tensors):
        made = network.state_dict()
        tensors = {**{name: made[name] for name in made if name.rpartition(".")[2] in DESIGNED}, **tensors}
    weights.fill(network, tensors, what)
    names = tuple(described(checkpoint.metadata).get("class_names", ()))
    return StyleGAN3Generator(NAME, network, names, weights.identity(tensors))


def tiny(folder: Path) -> Path:
    network = StyleGAN3(Sizes(8, 3, 6, 2, 16, 3, (12, 12, 12, 8, 8), 3, False))
    made = random_weights(network)
    for name, value in network.state_dict().items():
        if name.endswith((*DESIGNED, "magnitude_ema")):
            made[name] = value
        elif name.startswith("mapping.fc"):
            made[name] /= RATE
    return write(folder / "tiny.safetensors", made)


FAMILY: Final = Family(NAME, detect, load, tiny, weight_files, partial(usual_names, NAME))
