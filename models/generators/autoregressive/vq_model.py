"""diffusers' VQModel: the autoencoder of VQGAN (Esser 2021) and of vector-quantised latent diffusion."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from ... import weights
from ...diffusion.networks import todays_attention
from ...families import Family
from ...files import beside
from ...files.checkpoints import Checkpoint
from ...files.usual_names import usual_names
from ...random_weights import write_random
from ...weights import DtypeFor, Tensors, empty_weights, full_precision
from ..base import Descriptor
from ..vae.autoencoder import OPTIONS, Autoencoder
from .quantised import QuantisedCoder

if TYPE_CHECKING:
    from diffusers import VQModel

NAME: Final = "VQModel"
SIGNS: Final = (
    "quantize.embedding.weight",
    "quant_conv.weight",
    "encoder.down_blocks.0.resnets.0.conv1.weight",
    "decoder.up_blocks.0.resnets.0.conv1.weight",
)
SIDE: Final = 256
"""Of the pictures, and the groups of the norms, of files that do not tell them; cannot be detected."""
NORM_GROUPS: Final = 32


class VQModelCoder(QuantisedCoder):
    """The library's network with pixels in 0..1."""

    def __init__(self, network: VQModel) -> None:
        super().__init__()
        self.network = network

    @property
    def book(self) -> torch.Tensor:
        return self.network.quantize.embedding.weight

    @property
    def scale(self) -> int:
        """Pixels to a code, along a side."""
        return 2 ** (len(self.network.config.block_out_channels) - 1)

    @property
    def floats(self) -> float:
        """Numbers per pixel at the peak: in a residual block at the finest level, in the decoder's last upsampling, or
        of the distances to the codes."""
        widths = self.network.config.block_out_channels
        top, below = widths[0], widths[min(1, len(widths) - 1)]
        codes, size = self.book.shape
        return max(3 * below, below + 3 * top, 4 * top, (codes + 2 * size) / self.scale**2)

    def means(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.network.encode(2 * pixels - 1).latents

    def restored(self, vectors: torch.Tensor) -> torch.Tensor:
        return (self.network.decode(vectors, force_not_quantize=True).sample + 1) / 2


def detect(checkpoint: Checkpoint) -> bool:
    """Encoder, decoder and codebook under the library's names."""
    return all(sign in checkpoint.tensors for sign in SIGNS)


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> Autoencoder:
    """Sizes are read from names and shapes; metadata, or a config.json beside the file, tells the norms' groups and the
    side."""
    told = beside.told(checkpoint, NAME)
    tensors = todays_attention(checkpoint.tensors)
    coder = build(tensors, told)
    weights.fill(coder.network, tensors, f"{checkpoint.name}, {NAME}")
    return autoencoder(NAME, coder, told, weights.identity(tensors))


def autoencoder(name: str, coder: VQModelCoder, told: Mapping[str, Any], identity: str) -> Autoencoder:
    """What encodes and decodes by a filled network; `told` may hold "sample_size"."""
    side = told.get("sample_size", SIDE)
    descriptor = Descriptor(
        family="vae",
        architecture=name,
        height=side,
        width=side,
        channels=coder.network.config.in_channels,
        parameters=sum(map(torch.numel, coder.parameters())),
        latent_shape=(coder.book.shape[1], side // coder.scale, side // coder.scale),
        size_multiple=coder.scale,
        options=OPTIONS,
        abilities=("encode", "decode", "interpolate"),
    )
    return Autoencoder(descriptor, coder, None, identity, coder.floats)


def build(tensors: Tensors, told: Mapping[str, Any]) -> VQModelCoder:
    """A network that these tensors fit, on the meta device; `told` may hold "norm_num_groups"."""
    from diffusers import VQModel

    with empty_weights():
        network = VQModel(**configuration(tensors), norm_num_groups=told.get("norm_num_groups", NORM_GROUPS))
    return VQModelCoder(network)


def configuration(tensors: Tensors) -> dict[str, Any]:
    """The arguments of VQModel, but for the groups of its norms."""
    first = "encoder.down_blocks.{}.resnets.0.conv1.weight"
    levels = range(weights.count_layers(tensors, first))
    down = [f"encoder.down_blocks.{level}.attentions.0.to_q.weight" in tensors for level in levels]
    up = [f"decoder.up_blocks.{level}.attentions.0.to_q.weight" in tensors for level in levels]
    codes, size = tensors["quantize.embedding.weight"].shape
    return {
        "in_channels": tensors["encoder.conv_in.weight"].shape[1],
        "out_channels": len(tensors["decoder.conv_out.weight"]),
        "down_block_types": tuple("AttnDownEncoderBlock2D" if attends else "DownEncoderBlock2D" for attends in down),
        "up_block_types": tuple("AttnUpDecoderBlock2D" if attends else "UpDecoderBlock2D" for attends in up),
        "block_out_channels": tuple(len(tensors[first.format(level)]) for level in levels),
        "layers_per_block": weights.count_layers(tensors, "encoder.down_blocks.0.resnets.{}.conv1.weight"),
        "latent_channels": len(tensors["encoder.conv_out.weight"]),
        "num_vq_embeddings": codes,
        "vq_embed_dim": size,
        "norm_type": "spatial" if "decoder.conv_norm_out.conv_y.weight" in tensors else "group",
        "mid_block_add_attention": "encoder.mid_block.attentions.0.to_q.weight" in tensors,
    }


def of_widths(widths: tuple[int, ...], layers: int, codes: int = 256, channels: int = 3) -> VQModel:
    """A network with random weights."""
    from diffusers import VQModel

    return VQModel(
        in_channels=channels,
        out_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        block_out_channels=widths,
        layers_per_block=layers,
        num_vq_embeddings=codes,
    )


def tiny(folder: Path) -> Path:
    return write_random(folder, of_widths((32, 32), 1, codes=16))


FAMILY: Final = Family(NAME, detect, load, tiny, beside.files, partial(usual_names, NAME))
