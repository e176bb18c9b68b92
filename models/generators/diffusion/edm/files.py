"""EDM's snapshots (`edm-cifar10-32x32-cond-vp.pkl`, `edm-imagenet-64x64-cond-adm.pkl`, the baselines), read as data.

Names and shapes tell all of a network; a snapshot also says how its inputs and outputs are scaled, which a state dict
alone does not: that is taken for EDM's own, unless a `config.json` beside it has the authors' names (`sigma_data`, or
`beta_d`, `beta_min`, `epsilon_t` and `M` of VP, or `sigma_min` and `sigma_max` of VE).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import torch

from .... import weights
from ....errors import BadCheckpoint
from ....files import beside
from ....files.checkpoints import Checkpoint
from ....files.groups import without_prefix
from ....random_weights import random_weights, write
from ....weights import DtypeFor, Tensors, count_layers, empty_weights
from . import preconditioning
from .network import Sizes, UNet
from .preconditioning import Preconditioning

NAME: Final = "EDM"
MODEL: Final = "model."
LEVELS: Final = "u"
"""The levels of noise of an improved DDPM, beside its network."""
EMBEDDING: Final = ("map_layer0.weight", "map_layer1.weight")
PARTS: Final = frozenset({"map_noise", "map_label", "map_augment", "map_layer0", "map_layer1", "enc", "dec"})
OUT: Final = frozenset({"out_norm", "out_conv"})
FIRST: Final = re.compile(r"enc\.(\d+)x\1_conv\.weight")


def detect(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint is such a U-Net, by itself."""
    own = network_tensors(checkpoint.tensors)
    return (
        all(name in own for name in EMBEDDING)
        and any(map(FIRST.fullmatch, own))
        and all(name.partition(".")[0] in PARTS | OUT for name in own)
    )


def network_tensors(tensors: Tensors) -> dict[str, torch.Tensor]:
    """Those of the U-Net, under its names."""
    return without_prefix({name: value for name, value in tensors.items() if name != LEVELS}, MODEL)


def sizes_of(tensors: Tensors) -> Sizes:
    """Of a U-Net that `detect` claims.

    Raises:
        KeyError: a tensor that tells a size is missing.
    """
    side = max(int(found[1]) for found in map(FIRST.fullmatch, tensors) if found)
    places = [f"{side >> level}x{side >> level}" for level in range(side.bit_length())]
    places = [place for place in places if f"enc.{place}_block0.conv1.weight" in tensors]
    embedding, noise = tensors["map_layer0.weight"].shape
    adm = "out_conv.weight" in tensors
    first, channels = tensors[f"enc.{places[0]}_conv.weight"].shape[:2]
    last = "out_conv.weight" if adm else f"dec.{places[0]}_aux_conv.weight"
    filters = next((tensors[name] for name in tensors if name.endswith("down.conv0.resample_filter")), None)
    deepest = places[-1]
    return Sizes(
        side,
        channels,
        len(tensors[last]),
        first,
        tuple(len(tensors[f"enc.{place}_block0.conv1.weight"]) for place in places),
        count_layers(tensors, f"enc.{places[0]}_block{{}}.conv1.weight"),
        tuple(f"enc.{place}_block0.qkv.weight" in tensors for place in places),
        noise,
        embedding,
        _inputs(tensors, "map_label.weight"),
        _inputs(tensors, "map_augment.weight"),
        adm,
        "map_noise.freqs" in tensors,
        "residual" if _has(tensors, "_aux_residual.") else "skip" if _has(tensors, "_aux_skip.") else "standard",
        "skip" if not adm and len(places) > 1 and f"dec.{deepest}_aux_conv.weight" in tensors else "standard",
        2 if filters is None else filters.shape[-1],
    )


def _inputs(tensors: Tensors, name: str) -> int:
    return tensors[name].shape[1] if name in tensors else 0


def _has(tensors: Tensors, part: str) -> bool:
    return any(part in name for name in tensors)


def read(checkpoint: Checkpoint, dtype_for: DtypeFor) -> tuple[UNet, Preconditioning, str]:
    """The network, how it is scaled, and what tells both from others.

    Raises:
        BadCheckpoint: its tensors do not fit exactly, or it draws what the pack does not.
    """
    what, levels = f"{checkpoint.name}, {NAME}", checkpoint.tensors.get(LEVELS)
    own = network_tensors(checkpoint.tensors)
    sizes = sizes_of(own)
    if sizes.channels not in (1, 3) or sizes.outputs != sizes.channels * (1 if levels is None else 2):
        raise BadCheckpoint(
            f"{what}: it takes {sizes.channels} channels and gives {sizes.outputs}; the pack draws with those that "
            "take 1 (grey) or 3 (RGB) and give as many, or twice as many of improved DDPMs. Choose another file."
        )
    with empty_weights():
        network = UNet(sizes)
    prefix = "" if own.keys() <= checkpoint.tensors.keys() else MODEL
    wanted = {f"{prefix}{name}": value.shape for name, value in network.state_dict().items()}
    # Before it is filled, so that messages have the file's names.
    weights.check_fit(wanted, {f"{prefix}{name}": value for name, value in own.items()}, what)
    weights.fill(network, own, what, dtype_for(sum(value.numel() for value in own.values())))
    values = {**checkpoint.values, **beside.settings(checkpoint)}
    scaled = preconditioning.told(values, levels)
    return network, scaled, weights.identity({**checkpoint.tensors, **_numbers(scaled)})


def _numbers(scaled: Preconditioning) -> Tensors:
    """What tells one scaling from others: its factors at a level that all know."""
    return {"scales": torch.tensor(scaled.scales(1.0), dtype=torch.float64)}


TINY: Final = Sizes(16, 3, 3, 32, (32, 32), 1, (False, True), 32, 64, labels=3)


def tiny(folder: Path) -> Path:
    """A DDPM++ of pictures of 16 pixels a side, with classes."""
    made = random_weights(UNet(TINY))
    for name, value in made.items():
        if name.endswith("resample_filter"):
            made[name] = torch.full_like(value, 1 / value.numel())
    # Two steps go from almost nothing but noise to almost none, and so magnify rounding.
    made["dec.16x16_aux_conv.weight"] /= 20
    return write(folder / "tiny.safetensors", {f"{MODEL}{name}": value for name, value in made.items()})


def typical() -> frozenset[str]:
    """Names in a published file: of CIFAR-10, by VP."""
    sizes = Sizes(32, 3, 3, 128, (256, 256, 256), 4, (False, True, False), 128, 512, labels=10, augmentations=9)
    with empty_weights():
        return frozenset(f"{MODEL}{name}" for name in UNet(sizes).state_dict())
