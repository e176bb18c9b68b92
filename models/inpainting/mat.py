"""MAT, which fills large holes by a transformer that heeds them (Li et al., 2022, arXiv 2203.15270)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from ..families import Family
from ..files.checkpoints import Checkpoint
from ..random_weights import write
from ..weights import DtypeFor, check_fit, fill, undrawn_weights
from .base import Inpainter
from .promptless import PromptlessInpainter, network_class

NAME: Final = "MAT"
MARK: Final = "synthesis.first_stage.conv_first.conv.resample_filter"
WIDTH: Final = 180
"""Channels of the first stage."""
TOKENS: Final = 64
"""Side of the first stage's widest map of tokens."""
DEPTHS: Final = (2, 3, 4, 3, 2)
MAPS: Final = (64, 32, 16, 32, 64)
"""Sides of the maps of tokens, for pictures of the size that the network was made for."""
WINDOWS: Final = (8, 16, 16, 16, 8)
MAPPING_LAYERS: Final = 8
COARSEST: Final = 16
"""Side of the second stage's smallest map."""
WIDEST: Final = 512
WIDTHS: Final = {512: 64, 256: 128, 128: 256}
"""Channels of the second stage's maps; of smaller ones WIDEST."""
FILTER: Final = (1.0, 3.0, 3.0, 1.0)
Named = Iterator[tuple[str, tuple[int, ...]]]


class Sizes(NamedTuple):
    """resolution: side of the pictures that the network was made for. latent: of the random vector. style: of what
    becomes of it."""

    resolution: int
    latent: int = 512
    style: int = 512


PUBLISHED: Final = Sizes(512)
TINY: Final = Sizes(128, 8, 8)


class _Dropout(TorchFunctionMode):
    """Dropout that is drawn for each picture by its own generator, on the CPU, in the order in which it comes up."""

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.generators = generators

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not F.dropout:
            return func(*args, **(kwargs or {}))
        values, share = args[0], (kwargs or {}).get("p", 0.5)
        drawn = [torch.rand(values.shape[1:], generator=generator) for generator in self.generators]
        return values * (torch.stack(drawn) >= share).to(values) / (1 - share)


class MAT(PromptlessInpainter):
    """A network that draws one of the ways to fill a hole: each image has its own seed. Always float32."""

    square = True

    def __init__(self, network: nn.Module, sizes: Sizes) -> None:
        super().__init__(network, NAME)
        self.sizes = sizes
        self.multiple = self.smallest = self.native_resolution = sizes.resolution
        # Whichever stage has the wider maps at full size.
        self.floats_per_pixel = max(5.7 * WIDTH, 6.3 * WIDTHS.get(sizes.resolution, WIDEST))

    def _filled(self, pixels: torch.Tensor, hole: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
        latents = [torch.randn(self.sizes.latent, generator=generator) for generator in generators]
        with _Dropout(generators):
            # None of the classes that it could be told, and none of StyleGAN2's noise, for which it has no weights.
            filled = self.network(
                pixels * 2 - 1, 1 - hole, torch.stack(latents).to(pixels.device), None, noise_mode="none"
            )
        return filled / 2 + 0.5


def sizes_of(tensors: dict[str, torch.Tensor]) -> Sizes:
    """What names and shapes tell."""
    sides = [COARSEST * 2**power for power in range(8)]
    blocks = [side for side in sides if f"synthesis.enc.EncConv_Block_{side}x{side}.conv0.weight" in tensors]
    latent = tensors["mapping.fc0.weight"].shape[1]
    return Sizes(max(blocks, default=PUBLISHED.resolution), latent, tensors["mapping.w_avg"].shape[0])


def shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """All tensors of a network of these sizes."""
    return dict(_network(sizes))


def _network(sizes: Sizes) -> Named:
    for name, shape in _first_stage(sizes):
        yield f"synthesis.first_stage.{name}", shape
    second = [*_encoder(sizes), *_dense("to_square", sizes.style, COARSEST**2)]
    second += [item for place in range(3) for item in _conv(f"to_style.conv.{place}", WIDEST, WIDEST)]
    second += [*_dense("to_style.fc", WIDEST, 2 * WIDEST), *_decoder(sizes)]
    for name, shape in second:
        yield f"synthesis.{name}", shape
    for place in range(MAPPING_LAYERS):
        yield from _dense(f"mapping.fc{place}", sizes.style if place else sizes.latent, sizes.style)
    yield "mapping.w_avg", (sizes.style,)


def _first_stage(sizes: Sizes) -> Named:
    yield from _conv("conv_first.conv", 4, WIDTH)
    halvings = (sizes.resolution // TOKENS).bit_length() - 1
    for place in range(halvings):
        yield from _conv(f"enc_conv.{place}.conv", WIDTH, WIDTH)
    for place, (depth, side, window) in enumerate(zip(DEPTHS, MAPS, WINDOWS, strict=True)):
        if place:
            yield from _conv(f"tran.{place}.downsample.conv.conv", WIDTH, WIDTH)
        for block in range(depth):
            yield from _transformer(f"tran.{place}.blocks.{block}")
            # Every second block shifts its windows, and keeps which tokens were neighbours; a single one shifts none.
            if block % 2 and side > window:
                yield f"tran.{place}.blocks.{block}.attn_mask", ((side // window) ** 2, window**2, window**2)
        yield from _conv(f"tran.{place}.conv.conv", WIDTH, WIDTH)
    for place in range(4):
        yield from _conv(f"down_conv.{place}", WIDTH, WIDTH)
    yield from _dense("to_style", WIDTH, 2 * WIDTH)
    yield from _dense("ws_style", sizes.style, WIDTH)
    yield from _dense("to_square", WIDTH, COARSEST**2)
    for place in range(halvings):
        for half in ("conv0", "conv1"):
            yield from _styled(f"dec_conv.{place}.{half}", WIDTH, WIDTH, 3 * WIDTH)
        yield from _styled(f"dec_conv.{place}.toRGB", WIDTH, 3, 3 * WIDTH, kernel=1)


def _transformer(name: str) -> Named:
    for part in ("q", "k", "v", "proj"):
        yield from _dense(f"{name}.attn.{part}", WIDTH, WIDTH)
    yield from _dense(f"{name}.fuse", 2 * WIDTH, WIDTH)
    yield from _dense(f"{name}.mlp.fc1", WIDTH, 2 * WIDTH)
    yield from _dense(f"{name}.mlp.fc2", 2 * WIDTH, WIDTH)


def _sides(sizes: Sizes) -> list[int]:
    """Of the second stage's maps, from coarse to fine."""
    return [2**power for power in range(COARSEST.bit_length() - 1, sizes.resolution.bit_length())]


def _encoder(sizes: Sizes) -> Named:
    given = 0
    for side in reversed(_sides(sizes)):
        name, width = f"enc.EncConv_Block_{side}x{side}", WIDTHS.get(side, WIDEST)
        yield from _conv(f"{name}.conv0", given or 7, width, 3 if given else 1)
        yield from _conv(f"{name}.conv1", width, width)
        given = width


def _decoder(sizes: Sizes) -> Named:
    given, style = WIDEST, sizes.style + 2 * WIDEST
    for side in _sides(sizes):
        name, width = f"dec.Dec_{side}x{side}", WIDTHS.get(side, WIDEST)
        if side == COARSEST:
            yield from _conv(f"{name}.conv0", given, width)
        else:
            yield from _styled(f"{name}.conv0", given, width, style)
        yield from _styled(f"{name}.conv1", width, width, style)
        yield from _styled(f"{name}.toRGB", width, 3, style, kernel=1)
        given = width


def _conv(name: str, inputs: int, outputs: int, kernel: int = 3) -> Named:
    yield f"{name}.weight", (outputs, inputs, kernel, kernel)
    yield f"{name}.bias", (outputs,)
    yield f"{name}.resample_filter", (4, 4)


def _dense(name: str, inputs: int, outputs: int) -> Named:
    yield f"{name}.weight", (outputs, inputs)
    yield f"{name}.bias", (outputs,)


def _styled(name: str, inputs: int, outputs: int, style: int, kernel: int = 3) -> Named:
    yield f"{name}.conv.weight", (1, outputs, inputs, kernel, kernel)
    yield f"{name}.conv.resample_filter", (4, 4)
    yield from _dense(f"{name}.conv.affine", style, inputs)
    yield f"{name}.bias", (outputs,)
    if kernel == 1:
        yield f"{name}.resample_filter", (4, 4)


def detect(checkpoint: Checkpoint) -> bool:
    """Whether it has the first stage's first filter."""
    return MARK in checkpoint.tensors


def load(checkpoint: Checkpoint, dtype_for: DtypeFor) -> MAT:
    """The inpainter of a file.

    Raises:
        BadCheckpoint: its tensors do not fit. CannotDo: spandrel_extra_arches is not installed.
    """
    tensors, what = checkpoint.tensors, f"{checkpoint.name}, {NAME}"
    sizes = sizes_of(tensors)
    check_fit({name: torch.Size(shape) for name, shape in shapes(sizes).items()}, tensors, what)
    generator = network_class("spandrel_extra_arches", NAME, "MAT", "Generator")
    with undrawn_weights():
        network = generator(
            z_dim=sizes.latent, c_dim=0, w_dim=sizes.style, img_resolution=sizes.resolution, img_channels=3
        )
    fill(network, tensors, what)
    return MAT(network, sizes)


def write_tiny(folder: Path, sizes: Sizes = TINY) -> Path:
    """A file with random weights, in float16 as it is mostly found; most of its sizes are fixed."""
    generator = torch.Generator().manual_seed(0)
    made = {}
    for name, shape in shapes(sizes).items():
        if name.endswith("resample_filter"):
            made[name] = torch.outer(torch.tensor(FILTER), torch.tensor(FILTER)) / sum(FILTER) ** 2
        elif name.endswith("attn_mask"):
            made[name] = torch.zeros(shape)
        else:
            # Weights are of unit variance: the network divides by what went into them.
            made[name] = torch.randn(shape, generator=generator) * (1.0 if len(shape) > 1 else 0.1)
    return write(folder / "tiny.safetensors", {name: value.half() for name, value in made.items()})


@cache
def _typical() -> frozenset[str]:
    return frozenset(shapes(PUBLISHED))


FAMILY: Final[Family[Inpainter]] = Family(NAME, detect, load, write_tiny, typical=_typical)
