"""The weights of NVIDIA's `inception-2015-12-05.pt`, a TorchScript program that StyleGAN's metrics and clean-fid run,
by the names of our network. Nothing of the program is run.

Its modules are called as TensorFlow's graph of 2015-12-05 calls its layers (`mixed_9/tower/mixed/conv_1`); how their
tensors are called is told from what they are: a kernel has four dimensions, the mean, the variance and the offset of a
batch norm are called so. The graph has no factor there, which is then 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

import torch

from ...errors import BadCheckpoint
from ...weights import Tensors, some

_A: Final = {
    "conv": "branch1x1",
    "tower_conv": "branch5x5_1",
    "tower_conv_1": "branch5x5_2",
    "tower_1_conv": "branch3x3dbl_1",
    "tower_1_conv_1": "branch3x3dbl_2",
    "tower_1_conv_2": "branch3x3dbl_3",
    "tower_2_conv": "branch_pool",
}
_B: Final = {
    "conv": "branch3x3",
    "tower_conv": "branch3x3dbl_1",
    "tower_conv_1": "branch3x3dbl_2",
    "tower_conv_2": "branch3x3dbl_3",
}
_C: Final = {
    "conv": "branch1x1",
    "tower_conv": "branch7x7_1",
    "tower_conv_1": "branch7x7_2",
    "tower_conv_2": "branch7x7_3",
    "tower_1_conv": "branch7x7dbl_1",
    "tower_1_conv_1": "branch7x7dbl_2",
    "tower_1_conv_2": "branch7x7dbl_3",
    "tower_1_conv_3": "branch7x7dbl_4",
    "tower_1_conv_4": "branch7x7dbl_5",
    "tower_2_conv": "branch_pool",
}
_D: Final = {
    "tower_conv": "branch3x3_1",
    "tower_conv_1": "branch3x3_2",
    "tower_1_conv": "branch7x7x3_1",
    "tower_1_conv_1": "branch7x7x3_2",
    "tower_1_conv_2": "branch7x7x3_3",
    "tower_1_conv_3": "branch7x7x3_4",
}
_E: Final = {
    "conv": "branch1x1",
    "tower_conv": "branch3x3_1",
    "tower_mixed_conv": "branch3x3_2a",
    "tower_mixed_conv_1": "branch3x3_2b",
    "tower_1_conv": "branch3x3dbl_1",
    "tower_1_conv_1": "branch3x3dbl_2",
    "tower_1_mixed_conv": "branch3x3dbl_3a",
    "tower_1_mixed_conv_1": "branch3x3dbl_3b",
    "tower_2_conv": "branch_pool",
}
_STEM: Final = {
    "conv": "Conv2d_1a_3x3",
    "conv_1": "Conv2d_2a_3x3",
    "conv_2": "Conv2d_2b_3x3",
    "conv_3": "Conv2d_3b_1x1",
    "conv_4": "Conv2d_4a_3x3",
}
_BLOCKS: Final = {
    "mixed": ("Mixed_5b", _A),
    "mixed_1": ("Mixed_5c", _A),
    "mixed_2": ("Mixed_5d", _A),
    "mixed_3": ("Mixed_6a", _B),
    "mixed_4": ("Mixed_6b", _C),
    "mixed_5": ("Mixed_6c", _C),
    "mixed_6": ("Mixed_6d", _C),
    "mixed_7": ("Mixed_6e", _C),
    "mixed_8": ("Mixed_7a", _D),
    "mixed_9": ("Mixed_7b", _E),
    "mixed_10": ("Mixed_7c", _E),
}
LAYERS: Final[Mapping[str, str]] = {
    **{f"layers_{theirs}": ours for theirs, ours in _STEM.items()},
    **{
        f"layers_{block}_{theirs}": f"{name}.{ours}"
        for block, (name, branches) in _BLOCKS.items()
        for theirs, ours in branches.items()
    },
}
"""Convolutions of the program, levels joined by `_`, and ours."""
DENSE: Final = "output"
NORM: Final = {"mean": "bn.running_mean", "var": "bn.running_var", "beta": "bn.bias", "bias": "bn.bias"}
"""What stands in the name of a batch norm's tensor, and ours."""
FACTOR: Final = "bn.weight"
COUNTER: Final = "num_batches_tracked"


def is_program(tensors: Tensors) -> bool:
    """Whether tensors are called as those of NVIDIA's program."""
    return any(name.startswith(("layers.mixed_10.", "layers.mixed_10_")) for name in tensors) and any(
        name.startswith(f"{DENSE}.") for name in tensors
    )


def published_names(tensors: Tensors, what: str) -> dict[str, torch.Tensor]:
    """The program's tensors by our names; such as have no place keep theirs, for the fill to refuse.

    what: the file, as messages begin.

    Raises:
        BadCheckpoint: two of them would take one place.
    """
    placed = [(_place(name, value), name) for name, value in tensors.items() if not name.endswith(COUNTER)]
    by_place = sorted(placed)
    twice = [f"{one} and {other}" for (first, one), (second, other) in pairwise(by_place) if first == second]
    if twice:
        raise BadCheckpoint(
            f"{what}: two of its tensors are the same one of a layer ({some(twice)}). It is no copy of NVIDIA's file "
            "that the pack knows; download it again, or choose another."
        )
    found = {place: tensors[name] for place, name in placed}
    for layer in LAYERS.values():
        offset = found.get(f"{layer}.bn.bias")
        if offset is not None:
            found.setdefault(f"{layer}.{FACTOR}", torch.ones_like(offset))
    return found


def _place(name: str, value: torch.Tensor) -> str:
    """Our name for a tensor; its own where there is none."""
    levels = name.split(".")
    if levels[0] == DENSE and value.ndim in (1, 2):
        return "fc.weight" if value.ndim == 2 else "fc.bias"
    for length in range(len(levels) - 1, 1, -1):
        layer = LAYERS.get("_".join(levels[:length]))
        if layer is not None:
            part = _part(".".join(levels[length:]), value)
            return f"{layer}.{part}" if part else name
    return name


def _part(rest: str, value: torch.Tensor) -> str:
    """What a tensor of a convolution is; empty where nothing tells."""
    if value.ndim == 4:
        return "conv.weight"
    if value.ndim != 1:
        return ""
    last = rest.rpartition(".")[2]
    return next(
        (ours for theirs, ours in NORM.items() if theirs in last), FACTOR if last in ("gamma", "weight") else ""
    )
