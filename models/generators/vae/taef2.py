"""The tiny autoencoders of madebyollin/taesd as published: encoder and decoder in files of their own, layers numbered.

TAEF2, TAESANA, and the plain ones (TAESD, TAESD3, TAEF1). TAEF2's pooled branch is not in diffusers' AutoencoderTiny.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import nn

from ... import weights
from ...errors import BadCheckpoint
from ...families import Family
from ...files import checkpoints
from ...files.checkpoints import Checkpoint
from ...files.halves import HALVES, Half, files
from ...random_weights import random_weights, write
from ...weights import DtypeFor, Tensors, empty_weights, full_precision
from ..base import Ability, Descriptor
from .autoencoder import OPTIONS, Autoencoder

NAME: Final = "TAESD"
POOL_GROUPS: Final = 4
"""Of the pooled branch's group norm; cannot be detected."""
SIDE: Final = 256
"""Of the pictures that are drawn from latents of no given size."""
FLOATS: Final = 3.0
"""Numbers per pixel and channel at the peak, in a block at the full resolution."""
DEEP_ENCODER: Final = 0.25
"""The same for an encoder alone whose first layers have already reduced the resolution."""


class Clamp(nn.Module):
    """Latents softly within -3..3."""

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return torch.tanh(latents / 3) * 3


class Block(nn.Module):
    """Three convolutions beside the identity; where pooled, a normalised branch is added to the input before."""

    def __init__(self, width: int, pooled: bool = False) -> None:
        super().__init__()
        self.conv = nn.Sequential(_conv(width, width), nn.ReLU(), _conv(width, width), nn.ReLU(), _conv(width, width))
        self.fuse = nn.ReLU()
        self.pool = _pool(width) if pooled else None

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if self.pool is not None:
            features = features + self.pool(features)
        return self.fuse(self.conv(features) + features)


def _pool(width: int) -> nn.Sequential:
    wide = 4 * width
    return nn.Sequential(
        nn.Conv2d(width, wide, 1, bias=False),
        nn.GroupNorm(POOL_GROUPS, wide),
        nn.ReLU(),
        nn.Conv2d(wide, width, 1, bias=False),
    )


def _conv(inputs: int, outputs: int, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=bias)


def build_encoder(latent: int, width: int, pooled: bool, deep: bool) -> nn.Sequential:
    """Pictures [N, 3, H, W] in 0..1 to latents [N, latent, H / 8, W / 8], or H / 32 where deep."""
    layers: list[nn.Module] = [_conv(3, width), Block(width)]
    if deep:
        half = width // 2
        layers = [_conv(3, half, 2), nn.ReLU(), _conv(half, width, 2), nn.ReLU(), Block(width)]
    for level in range(3):
        blocks = [Block(width, pooled and level == 2) for _ in range(3)]
        layers += [_conv(width, width, 2, bias=False), *blocks]
    return nn.Sequential(*layers, _conv(width, latent))


def build_decoder(latent: int, width: int, pooled: bool, deep: bool) -> nn.Sequential:
    """Latents to pictures in about 0..1. The deep one is wider near the latents."""
    widths = (4 * width, 2 * width, width, width, width, width) if deep else (width,) * 4
    layers: list[nn.Module] = [Clamp(), _conv(latent, widths[0]), nn.ReLU()]
    for level, (here, finer) in enumerate(pairwise(widths)):
        blocks = [Block(here, pooled and level == 0) for _ in range(3)]
        layers += [*blocks, nn.Upsample(scale_factor=2), _conv(here, finer, bias=False)]
    return nn.Sequential(*layers, Block(width), _conv(width, 3))


class TinyAutoencoder(nn.Module):
    """Both halves, or the one that there is."""

    def __init__(self, halves: Mapping[Half, nn.Sequential]) -> None:
        super().__init__()
        self.encoder = halves.get("encoder")
        self.decoder = halves.get("decoder")

    def means(self, pixels: torch.Tensor) -> torch.Tensor:
        assert self.encoder is not None  # or the descriptor would not say that it encodes
        return self.encoder(pixels)

    def pictures(self, latents: torch.Tensor) -> torch.Tensor:
        assert self.decoder is not None
        return self.decoder(latents)


def detect(checkpoint: Checkpoint) -> bool:
    """A half in a file of its own; or both in one, if diffusers has no module for them."""
    tensors = checkpoint.tensors
    if _layout(tensors) is not None:
        return True
    layouts = [_layout(half) for half in _split(tensors).values()]
    return all(layouts) and (_pooled(tensors) or any(layout is not None and layout.deep for layout in layouts))


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> Autoencoder:
    """The halves in the file; where it is one, the other too if its file lies beside it, see `halves.files`.

    Raises:
        BadCheckpoint: a half has a tensor too many or too few, or the two do not fit together.
    """
    layout = _layout(checkpoint.tensors)
    if layout is None:
        return assemble(_split(checkpoint.tensors), checkpoint.name)
    halves: dict[Half, Tensors] = {layout.half: checkpoint.tensors}
    for sibling in () if checkpoint.path is None else files(checkpoint.path)[1:]:
        found = checkpoints.read(sibling).tensors
        other = _layout(found)
        if other is None or other.half == layout.half:
            raise BadCheckpoint(
                f"{checkpoint.name}: {sibling.name} is by its name the other half, but it holds something else; rename "
                "it, or download it again."
            )
        halves[other.half] = found
    return assemble(halves, checkpoint.name)


def assemble(halves: Mapping[Half, Tensors], source: str) -> Autoencoder:
    """The autoencoder of one or both halves, each under the names of a file of its own. source: the file, for errors.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape, or the halves do not fit together.
    """
    parts: dict[Half, _Part] = {half: _part(tensors) for half, tensors in halves.items()}
    kinds = {(part.latent, part.scale) for part in parts.values()}
    if len(kinds) > 1:
        found = " and ".join(f"{latent} channels at 1/{scale}" for latent, scale in sorted(kinds))
        raise BadCheckpoint(f"{source}: encoder and decoder belong to different models, of latents with {found}.")
    latent, scale = kinds.pop()
    width = max(part.width for part in parts.values())
    network = TinyAutoencoder({half: part.module for half, part in parts.items()})
    named = {f"{half}.{name}": value for half, tensors in halves.items() for name, value in tensors.items()}
    weights.fill(network, named, f"{source}, {NAME}")
    able: dict[Half, Ability] = {"encoder": "encode", "decoder": "decode"}
    abilities: list[Ability] = [able[half] for half in HALVES if half in parts]
    if len(parts) == 2:
        abilities.append("interpolate")
    descriptor = Descriptor(
        family="vae",
        architecture=NAME,
        height=SIDE,
        width=SIDE,
        channels=3,
        parameters=sum(map(torch.numel, network.parameters())),
        latent_shape=(latent, SIDE // scale, SIDE // scale),
        size_multiple=scale,
        options=OPTIONS,
        abilities=tuple(abilities),
    )
    per_channel = DEEP_ENCODER if scale == 32 and "decoder" not in parts else FLOATS
    return Autoencoder(descriptor, network, None, weights.identity(named), per_channel * width)


class _Layout(NamedTuple):
    """How the layers of a half are numbered: the names of its first and last weight, pixels per latent and side."""

    half: Half
    first: str
    last: str
    deep: bool


_LAYOUTS: Final = (
    _Layout("encoder", "0.weight", "14.weight", False),
    _Layout("encoder", "0.weight", "17.weight", True),
    _Layout("decoder", "1.weight", "19.weight", False),
    _Layout("decoder", "1.weight", "29.weight", True),
)


class _Part(NamedTuple):
    module: nn.Sequential
    latent: int
    scale: int
    width: int


def _layout(tensors: Tensors) -> _Layout | None:
    blocks = any(name.endswith(".conv.4.weight") and name.count(".") == 3 for name in tensors)
    fits = (layout for layout in _LAYOUTS if blocks and layout.first in tensors and layout.last in tensors)
    return next(fits, None)


def _split(tensors: Tensors) -> dict[Half, Tensors]:
    return {half: weights.under(tensors, f"{half}.") for half in HALVES}


def _pooled(tensors: Tensors) -> bool:
    return any(".pool." in name for name in tensors)


def _part(tensors: Tensors) -> _Part:
    """A half on the meta device, its channels and scale read from the shapes."""
    layout = _layout(tensors)
    assert layout is not None  # or it would not have been claimed
    build, code, pixels = (
        (build_encoder, tensors[layout.last].shape[0], tensors[layout.last].shape[1])
        if layout.half == "encoder"
        else (build_decoder, tensors[layout.first].shape[1], tensors[layout.last].shape[1])
    )
    with empty_weights():
        module = build(code, pixels, _pooled(tensors), layout.deep)
    return _Part(module, code, 32 if layout.deep else 8, pixels)


def _typical() -> frozenset[str]:
    with empty_weights():
        return frozenset(build_decoder(32, 64, pooled=True, deep=False).state_dict())


def tiny(folder: Path) -> Path:
    halves = {
        half: build(3, 8, pooled=True, deep=False)
        for half, build in zip(HALVES, (build_encoder, build_decoder), strict=True)
    }
    encoder, _ = (write(folder / f"tiny_{half}.safetensors", random_weights(halves[half])) for half in HALVES)
    return encoder


FAMILY: Final = Family(NAME, detect, load, tiny, files, _typical)
