"""What a file of a denoising diffusion GAN tells of its network by its shapes, and what has to be known besides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ....errors import BadCheckpoint
from ....weights import Tensors
from .network import Sizes

TIME: Final = "all_modules.0.weight"
FIRST: Final = "all_modules.2.weight"
BLOCK: Final = "Conv_0.weight"
STYLE: Final = "GroupNorm_0.style.weight"
ATTENTION: Final = "NIN_0.W"
PYRAMID: Final = "Conv2d_0.weight"
SIGNS: Final = (TIME, FIRST, f"all_modules.3.{STYLE}", "z_transform.1.weight")
BEFORE: Final = 3
"""Layers before the first block: two that embed the time, and the first convolution."""
ATTENDED: Final = 16
"""Side of the maps that have attention, pixels. Cannot be detected; as the reference has it unasked."""

CIFAR10: Final = Sizes(128, (128, 256, 256, 256), 2, (False, True, False, False), mappings=4)
CELEBA_HQ: Final = Sizes(64, (64, 64, 128, 128, 256, 256), 2, (False, False, False, False, True, False))
STEPS: Final[Mapping[Sizes, int]] = {CIFAR10: 4, CELEBA_HQ: 2}
"""Of published files, netG_1200.pth and netG_550.pth, by the commands in their README."""
MOST_STEPS: Final = 1000


class Told(NamedTuple):
    """What shapes do not tell. side: of the pictures, pixels. steps: of the diffusion that it was trained with."""

    side: int
    steps: int


def sizes_of(tensors: Tensors) -> Sizes:
    """All that shapes tell: a level ends where the picture joins at half the side.

    Raises:
        KeyError: a tensor is missing.
    """
    count = sum(f"all_modules.{place}.{BLOCK}" in tensors for place in range(len(tensors)))
    joins = [place for place in range(len(tensors)) if f"all_modules.{place}.{PYRAMID}" in tensors]
    starts = [BEFORE, *(place + 1 for place in joins)]
    levels = len(starts)
    styles, z_dim = tensors["z_transform.1.weight"].shape
    return Sizes(
        tensors[TIME].shape[1],
        tuple(tensors[f"all_modules.{start}.{BLOCK}"].shape[0] for start in starts),
        # Of the residual blocks, two stand between the ways, one is behind each level but the last on either way, and
        # each level has one more on the way up.
        (count - 2 - 2 * (levels - 1) - levels) // (2 * levels),
        tuple(f"all_modules.{start + 1}.{ATTENTION}" in tensors for start in starts),
        z_dim,
        styles,
        sum(name.startswith("z_transform.") and name.endswith(".weight") for name in tensors) - 1,
        tensors[FIRST].shape[1],
    )


def told(sizes: Sizes, flags: Mapping[str, Any], what: str) -> Told:
    """What shapes do not tell: by the flags of the reference's scripts, else as the published file of these shapes.

    flags: of a configuration beside the file, or its metadata, by the reference's names; empty where there is none.

    Raises:
        BadCheckpoint: nothing tells; or the flags are none that there are.
    """
    attended = [level for level, attends in enumerate(sizes.attended) if attends]
    steps = flags.get("num_timesteps", STEPS.get(sizes))
    side = flags.get("image_size", ATTENDED << attended[0] if attended else None)
    lacking = [name for name, found in (("num_timesteps", steps), ("image_size", side)) if found is None]
    if lacking:
        raise BadCheckpoint(
            f"{what}: it is none of the published files, and tensors do not tell its steps. Put a config.json with the "
            f"flags of its training beside it, in a folder of their own: {', '.join(lacking)}."
        )
    halvings = 2 ** (len(sizes.widths) - 1)
    whole = isinstance(steps, int) and isinstance(side, int)
    if not whole or not 0 < steps <= MOST_STEPS or side < halvings or side % halvings:
        raise BadCheckpoint(
            f"{what}: its configuration says num_timesteps {steps!r} and image_size {side!r}; they are whole numbers, "
            f"the first one from 1 to {MOST_STEPS}, the other divided by {halvings}."
        )
    return Told(side, steps)
