"""diffusers' AutoencoderTiny: Stable Diffusion's latents by a small network, in its own layout or TAESD's."""

from __future__ import annotations

import re
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn

from ... import weights
from ...errors import BadCheckpoint
from ...families import Family
from ...files import beside
from ...files.checkpoints import Checkpoint
from ...files.usual_names import usual_names
from ...random_weights import write_random
from ...weights import DtypeFor, Tensors, empty_weights, full_precision
from ..base import Descriptor
from .autoencoder import OPTIONS, Autoencoder

if TYPE_CHECKING:
    from diffusers import AutoencoderTiny

NAME: Final = "AutoencoderTiny"
SIGNS: Final = ("encoder.layers.0.weight", "encoder.layers.1.conv.0.weight", "decoder.layers.0.weight")
SIDE: Final = 256
"""Of the pictures that are drawn from latents of no given size."""
FLOATS: Final = 3.0
"""Numbers per pixel and channel of the finest level at the peak."""


class TinyCoder(nn.Module):
    """The library's network with pixels in 0..1."""

    def __init__(self, network: AutoencoderTiny) -> None:
        super().__init__()
        self.network = network

    def means(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.network.encode(2 * pixels - 1).latents

    def pictures(self, latents: torch.Tensor) -> torch.Tensor:
        return (self.network.decode(latents).sample + 1) / 2


def detect(checkpoint: Checkpoint) -> bool:
    """Both halves as numbered layers, the blocks without a pooled branch, the pixels' scale changing by layers of
    stride 2 alone."""
    pooled = any(".pool." in name for name in checkpoint.tensors)
    return not pooled and all(name in renamed(checkpoint.tensors) for name in SIGNS)


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> Autoencoder:
    """Channels and numbers of blocks are read from names and shapes. ReLU, and nearest upsampling by 2 in every layer,
    cannot be detected: they are those of all published files."""
    from diffusers import AutoencoderTiny

    tensors, what = renamed(checkpoint.tensors), f"{checkpoint.name}, {NAME}"
    beside.told(checkpoint, NAME, act_fn="relu", upsample_fn="nearest", upsampling_scaling_factor=2)
    config = configuration(tensors, what)
    with empty_weights():
        network = AutoencoderTiny(**config)
    weights.fill(network, tensors, what)
    latent, levels = config["latent_channels"], len(config["num_encoder_blocks"])
    scale = 2 ** (levels - 1)
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
        abilities=("encode", "decode", "interpolate"),
    )
    floats = FLOATS * max(config["encoder_block_out_channels"][0], config["decoder_block_out_channels"][-1])
    return Autoencoder(descriptor, TinyCoder(network), None, weights.identity(tensors), floats)


def renamed(tensors: Tensors) -> dict[str, torch.Tensor]:
    """Under diffusers' names, from them or TAESD's own, whose decoder counts the clamp in front as layer 0."""
    found = {}
    for name, value in tensors.items():
        match = re.fullmatch(r"(encoder|decoder)\.(\d+)\.(.+)", name)
        number = int(match[2]) - (match[1] == "decoder") if match else 0
        found[f"{match[1]}.layers.{number}.{match[3]}" if match else name] = value
    return found


def configuration(tensors: Tensors, what: str) -> dict[str, Any]:
    """The arguments of AutoencoderTiny. what: the file, as messages begin.

    Raises:
        BadCheckpoint: encoder and decoder have levels of different number.
    """
    encoder, decoder = _blocks("encoder", tensors), _blocks("decoder", tensors)
    if len(encoder) != len(decoder):
        raise BadCheckpoint(
            f"{what}: its encoder has {len(encoder)} levels and its decoder "
            f"{len(decoder)}; download it again, or choose another file."
        )
    first, last = tensors["encoder.layers.0.weight"], tensors["decoder.layers.0.weight"]
    return {
        "in_channels": first.shape[1],
        "out_channels": first.shape[1],
        "latent_channels": last.shape[1],
        "encoder_block_out_channels": (len(first),) * len(encoder),
        "decoder_block_out_channels": (len(last),) * len(decoder),
        "num_encoder_blocks": tuple(encoder),
        "num_decoder_blocks": tuple(decoder),
    }


def _blocks(half: str, tensors: Tensors) -> list[int]:
    """Residual blocks of each level: levels are divided by single convolutions."""
    numbers = sorted({int(name.split(".")[2]) for name in tensors if name.startswith(f"{half}.layers.")})
    is_block = [f"{half}.layers.{number}.conv.0.weight" in tensors for number in numbers]
    return [len(list(group)) for blocks, group in groupby(is_block) if blocks]


def tiny(folder: Path) -> Path:
    from diffusers import AutoencoderTiny

    network = AutoencoderTiny(
        encoder_block_out_channels=(8,) * 3,
        decoder_block_out_channels=(12,) * 3,
        num_encoder_blocks=(1, 1, 2),
        num_decoder_blocks=(2, 2, 1),
        latent_channels=5,
    )
    return write_random(folder, network)


FAMILY: Final = Family(NAME, detect, load, tiny, beside.files, partial(usual_names, NAME))
