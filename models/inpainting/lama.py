"""LaMa, which removes objects by fast Fourier convolutions (Suvorov et al., 2022, arXiv 2109.07161)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import nn

from ..families import Family
from ..files.checkpoints import Checkpoint
from ..random_weights import random_tensors, write
from ..weights import DtypeFor, check_fit, count_layers, empty_weights, fill
from .base import Inpainter
from .promptless import PromptlessInpainter, network_class

NAME: Final = "LaMa"
STEM: Final = "model.1"
STATISTICS: Final = ("weight", "bias", "running_mean", "running_var")
COUNTER: Final = "num_batches_tracked"
WIDE: Final = 4
"""One of so many channels of the blocks is local; the others see the whole picture. Cannot be detected where a file
differs; all published ones have it."""
Shapes = dict[str, tuple[int, ...]]


class Sizes(NamedTuple):
    """width: channels at full size. halvings: of the sides, until the blocks. blocks: of two convolutions each.

    inputs: channels of the picture and of the hole; outputs: of the picture.
    """

    width: int
    halvings: int
    blocks: int
    inputs: int = 4
    outputs: int = 3


BIG: Final = Sizes(64, 3, 18)
"""Of big-lama."""
TINY: Final = Sizes(8, 3, 1)


class LaMa(PromptlessInpainter):
    """A network that sees the picture without its hole, and the hole. Always float32: its Fourier transforms overflow
    float16, and there are none in bfloat16."""

    smallest = 16
    native_resolution = 512

    def __init__(self, network: nn.Module, sizes: Sizes) -> None:
        super().__init__(network, NAME)
        self.multiple = 2**sizes.halvings
        self.floats_per_pixel = 2.5 * sizes.width + 25

    def _filled(self, pixels: torch.Tensor, hole: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
        return self.network(pixels * (1 - hole), hole)


def sizes_of(tensors: dict[str, torch.Tensor]) -> Sizes:
    """What the shapes tell."""
    width, inputs = tensors[f"{STEM}.ffc.convl2l.weight"].shape[:2]
    names = [name.removeprefix("model.") for name in tensors]
    halvings = _count(names, 2, "ffc.convl2l.weight")
    blocks = _count(names, 2 + halvings, "conv1.ffc.convl2l.weight")
    # Behind the blocks: where both halves are joined, three layers for each doubling, and a border.
    last = 2 + halvings + blocks + 1 + 3 * halvings + 1
    return Sizes(width, halvings, blocks, inputs, tensors[f"model.{last}.weight"].shape[0])


def _count(names: list[str], first: int, rest: str) -> int:
    """How many layers from the number `first` on have a tensor of this name."""
    numbers = [name.removesuffix(f".{rest}") for name in names if name.endswith(f".{rest}")]
    return count_layers({str(int(number) - first) for number in numbers if number.isdecimal()}, "{}")


def shapes(sizes: Sizes) -> Shapes:
    """All tensors of a network of these sizes."""
    return {f"model.{name}": shape for name, shape in _layers(sizes)}


def _layers(sizes: Sizes) -> Iterator[tuple[str, tuple[int, ...]]]:
    width = sizes.width
    yield "1.ffc.convl2l.weight", (width, sizes.inputs, 7, 7)
    yield from _norm("1.bn_l", width)
    for number in range(2, 2 + sizes.halvings):
        given, width = width, 2 * width
        local, wide = (width // WIDE, width - width // WIDE) if number == 1 + sizes.halvings else (width, 0)
        yield f"{number}.ffc.convl2l.weight", (local, given, 3, 3)
        yield from _norm(f"{number}.bn_l", local)
        if wide:
            yield f"{number}.ffc.convl2g.weight", (wide, given, 3, 3)
            yield from _norm(f"{number}.bn_g", wide)
    number = 2 + sizes.halvings
    for block in range(number, number + sizes.blocks):
        for half in ("conv1", "conv2"):
            yield from _fourier(f"{block}.{half}", width)
    number += sizes.blocks + 1
    for place in range(number, number + 3 * sizes.halvings, 3):
        given, width = width, width // 2
        yield f"{place}.weight", (given, width, 3, 3)
        yield f"{place}.bias", (width,)
        yield from _norm(f"{place + 1}", width)
    last = number + 3 * sizes.halvings + 1
    yield f"{last}.weight", (sizes.outputs, width, 7, 7)
    yield f"{last}.bias", (sizes.outputs,)


def _fourier(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """A convolution over local and wide channels."""
    local, wide = width // WIDE, width - width // WIDE
    for part, shape in (("convl2l", (local, local)), ("convl2g", (wide, local)), ("convg2l", (local, wide))):
        yield f"{name}.ffc.{part}.weight", (*shape, 3, 3)
    half = wide // 2
    spectral = f"{name}.ffc.convg2g"
    yield f"{spectral}.conv1.0.weight", (half, wide, 1, 1)
    yield from _norm(f"{spectral}.conv1.1", half)
    yield f"{spectral}.fu.conv_layer.weight", (2 * half, 2 * half, 1, 1)
    yield from _norm(f"{spectral}.fu.bn", 2 * half)
    yield f"{spectral}.conv2.weight", (wide, half, 1, 1)
    yield from _norm(f"{name}.bn_l", local)
    yield from _norm(f"{name}.bn_g", wide)


def _norm(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    for part in STATISTICS:
        yield f"{name}.{part}", (width,)
    yield f"{name}.{COUNTER}", ()


def detect(checkpoint: Checkpoint) -> bool:
    """Whether it has the first norm, and a block with a Fourier transform."""
    names = checkpoint.tensors
    return f"{STEM}.bn_l.running_mean" in names and any(name.endswith(".convg2g.fu.bn.weight") for name in names)


def load(checkpoint: Checkpoint, dtype_for: DtypeFor) -> LaMa:
    """The inpainter of a file: a state dict, alone or beside others, or a TorchScript program's.

    Raises:
        BadCheckpoint: its tensors do not fit. CannotDo: spandrel is not installed.
    """
    tensors, what = checkpoint.tensors, f"{checkpoint.name}, {NAME}"
    sizes = sizes_of(tensors)
    check_fit({name: torch.Size(shape) for name, shape in shapes(sizes).items()}, tensors, what)
    generator = network_class("spandrel", NAME, "LaMa", "FFCResNetGenerator")
    with empty_weights():
        network = generator(
            sizes.inputs, sizes.outputs, ngf=sizes.width, n_downsampling=sizes.halvings, n_blocks=sizes.blocks
        )
    fill(network, tensors, what)
    return LaMa(network, sizes)


def write_tiny(folder: Path, sizes: Sizes = TINY) -> Path:
    """A file with random weights."""
    made = random_tensors(shapes(sizes))
    counters = {name: torch.tensor(1) for name in made if name.endswith(COUNTER)}
    return write(folder / "tiny.safetensors", made | counters)


@cache
def _typical() -> frozenset[str]:
    return frozenset(shapes(BIG))


FAMILY: Final[Family[Inpainter]] = Family(NAME, detect, load, write_tiny, typical=_typical)
