"""diffusers' AutoencoderKL, the autoencoder of latent diffusion, in its own layout or the original one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn

from ... import weights
from ...diffusion.networks import todays_attention
from ...diffusion.single_file import flat_attention, original_vae_name, vae_name
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
    from diffusers import AutoencoderKL

NAME: Final = "AutoencoderKL"
FIRST_STAGE: Final = "first_stage_model."
"""Prefix of a latent diffusion model's autoencoder."""
LOSS: Final = "loss."
"""Prefix of the discriminator and the perceptual network that the original training code saves along."""
SIDE: Final = 256
"""Of the pictures that are drawn from latents of no given size."""
NORM_GROUPS: Final = 32
PARTS: Final = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")


class KLCoder(nn.Module):
    """The library's network with pixels in 0..1 and latents that are not scaled."""

    def __init__(self, network: AutoencoderKL) -> None:
        super().__init__()
        self.network = network

    def means(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.network.encode(2 * pixels - 1).latent_dist.mean

    def posteriors(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        gaussian = self.network.encode(2 * pixels - 1).latent_dist
        return gaussian.mean, gaussian.logvar

    def pictures(self, latents: torch.Tensor) -> torch.Tensor:
        return (self.network.decode(latents).sample + 1) / 2


def detect(checkpoint: Checkpoint) -> bool:
    """Both halves in either layout, whose encoder gives means and variances; no codebook, no diffusion model."""
    named = renamed(checkpoint.tensors)
    ends = ("encoder.conv_in.weight", "encoder.conv_out.weight", "decoder.conv_in.weight")
    if not all(name in named for name in ends) or not all(name.startswith(PARTS) for name in named):
        return False
    given, taken = len(named["encoder.conv_out.weight"]), named["decoder.conv_in.weight"].shape[1]
    return given == 2 * taken and "decoder.up_blocks.0.resnets.0.conv1.weight" in named


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> Autoencoder:
    """Sizes are read from names and shapes. The groups of its norms cannot be detected: metadata or a config.json
    beside the file tells them, else they are the 32 of all published files.

    Raises:
        BadCheckpoint: a tensor too many or too few, or widths that 32 does not divide.
    """
    network = build(checkpoint.tensors, beside.told(checkpoint, NAME), f"{checkpoint.name}, {NAME}")
    config = network.config
    identity = weights.identity(renamed(checkpoint.tensors))
    widths, latent = tuple(config.block_out_channels), config.latent_channels
    scale = 2 ** (len(widths) - 1)
    descriptor = Descriptor(
        family="vae",
        architecture=NAME,
        height=SIDE,
        width=SIDE,
        channels=config.in_channels,
        parameters=sum(map(torch.numel, network.parameters())),
        latent_shape=(latent, SIDE // scale, SIDE // scale),
        size_multiple=scale,
        options=OPTIONS,
        abilities=("encode", "decode", "interpolate"),
    )
    return Autoencoder(descriptor, KLCoder(network), None, identity, _floats(widths))


def build(tensors: Tensors, told: Mapping[str, Any], what: str) -> AutoencoderKL:
    """The filled network of a file's tensors. told: may hold "norm_num_groups". what: as messages begin.

    Raises:
        BadCheckpoint: see `load`.
    """
    from diffusers import AutoencoderKL

    own = renamed(tensors)
    groups = told.get("norm_num_groups", NORM_GROUPS)
    config = {**configuration(own), "norm_num_groups": groups}
    if any(width % groups for width in config["block_out_channels"]):
        raise BadCheckpoint(
            f"{what}: its widths {config['block_out_channels']} do not divide into {groups} groups, and it does not "
            "tell how many its norms have; choose another file."
        )
    with empty_weights():
        network = AutoencoderKL(**config)
    prefix = FIRST_STAGE if any(name.startswith(FIRST_STAGE) for name in tensors) else ""
    levels = _original_levels(_bare(tensors))
    # Before it is filled, so that messages have the file's names.
    named = partial(original_vae_name, levels=levels) if levels else str
    weights.check_fit(
        {prefix + named(name): value.shape for name, value in network.state_dict().items()},
        {prefix + named(name): value for name, value in own.items()},
        what,
    )
    weights.fill(network, own, what)
    return network


def renamed(tensors: Tensors) -> dict[str, torch.Tensor]:
    """Under diffusers' names of today, without what only training needs."""
    kept = _bare(tensors)
    levels = _original_levels(kept)
    if not levels:
        return todays_attention(kept)
    return {vae_name(name, levels): flat_attention(name, value) for name, value in kept.items()}


def _bare(tensors: Tensors) -> dict[str, torch.Tensor]:
    named = {name.removeprefix(FIRST_STAGE): value for name, value in tensors.items()}
    return {name: value for name, value in named.items() if not name.startswith(LOSS)}


def _original_levels(tensors: Tensors) -> int:
    """Levels of the decoder under the original's names; 0 under those of diffusers."""
    return weights.count_layers(tensors, "decoder.up.{}.block.0.conv1.weight")


def configuration(tensors: Tensors) -> dict[str, Any]:
    """The arguments of AutoencoderKL."""
    first = "encoder.down_blocks.{}.resnets.0.conv1.weight"
    levels = weights.count_layers(tensors, first)
    return {
        "in_channels": tensors["encoder.conv_in.weight"].shape[1],
        "out_channels": len(tensors["decoder.conv_out.weight"]),
        "down_block_types": _blocks(tensors, "encoder.down_blocks.{}", levels, "DownEncoderBlock2D"),
        "up_block_types": _blocks(tensors, "decoder.up_blocks.{}", levels, "UpDecoderBlock2D"),
        "block_out_channels": tuple(len(tensors[first.format(level)]) for level in range(levels)),
        "layers_per_block": weights.count_layers(tensors, "encoder.down_blocks.0.resnets.{}.conv1.weight"),
        "latent_channels": tensors["decoder.conv_in.weight"].shape[1],
        "use_quant_conv": "quant_conv.weight" in tensors,
        "use_post_quant_conv": "post_quant_conv.weight" in tensors,
        "mid_block_add_attention": "encoder.mid_block.attentions.0.to_q.weight" in tensors,
    }


def _blocks(tensors: Tensors, place: str, levels: int, plain: str) -> tuple[str, ...]:
    """The kinds of the levels of one half: those of latent diffusion's kl-f16 attend at a side of 16."""
    attended = (f"{place.format(level)}.attentions.0.to_q.weight" in tensors for level in range(levels))
    return tuple(f"Attn{plain}" if attends else plain for attends in attended)


def _floats(widths: tuple[int, ...]) -> float:
    """Numbers per pixel at the peak: in a residual block at the finest level, or in the decoder's last upsampling."""
    top, below = widths[0], widths[min(1, len(widths) - 1)]
    return max(3 * below, 5 * top)


def of_widths(widths: tuple[int, ...], layers: int) -> AutoencoderKL:
    """A network with random weights."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        block_out_channels=widths,
        layers_per_block=layers,
    )


def tiny(folder: Path) -> Path:
    return write_random(folder, of_widths((32, 32), 1))


FAMILY: Final = Family(NAME, detect, load, tiny, beside.files, partial(usual_names, NAME))
