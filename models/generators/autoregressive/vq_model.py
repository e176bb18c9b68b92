"""diffusers' VQModel: the autoencoder of VQGAN (Esser 2021) and of vector-quantised latent diffusion."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count, takewhile
from typing import TYPE_CHECKING, Any, Final

import torch

from ...diffusion.networks import todays_attention
from ...files.checkpoints import Checkpoint, described
from .. import noise
from ..base import Descriptor
from ..registry import Architecture, Tensors, load_strictly
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


def detect(tensors: Tensors) -> bool:
    """Encoder, decoder and codebook under the library's names."""
    return all(sign in tensors for sign in SIGNS)


def load(checkpoint: Checkpoint) -> Autoencoder:
    """Sizes are read from names and shapes; metadata, where there is any, tells the norms' groups and the side."""
    told = described(checkpoint.metadata)
    coder = build(checkpoint.tensors, told)
    side = told.get("sample_size", SIDE)
    descriptor = Descriptor(
        family="vae",
        architecture=NAME,
        height=side,
        width=side,
        channels=coder.network.config.in_channels,
        parameters=sum(map(torch.numel, coder.parameters())),
        latent_shape=(coder.book.shape[1], side // coder.scale, side // coder.scale),
        size_multiple=coder.scale,
        options=OPTIONS,
        abilities=("encode", "decode", "interpolate"),
    )
    identity = noise.weights_identity(checkpoint.tensors)
    return Autoencoder(descriptor, coder, None, identity, coder.floats)


def build(tensors: Tensors, told: Mapping[str, Any]) -> VQModelCoder:
    """The network with these weights; `told` may hold "norm_num_groups".

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape.
    """
    from diffusers import VQModel

    named = todays_attention(tensors)
    network = VQModel(**configuration(named), norm_num_groups=told.get("norm_num_groups", NORM_GROUPS))
    load_strictly(network, named, NAME)
    return VQModelCoder(network)


def configuration(tensors: Tensors) -> dict[str, Any]:
    """The arguments of VQModel, but for the groups of its norms."""
    first = "encoder.down_blocks.{}.resnets.0.conv1.weight".format
    levels = range(len(list(takewhile(lambda level: first(level) in tensors, count()))))
    blocks = takewhile(lambda block: f"encoder.down_blocks.0.resnets.{block}.conv1.weight" in tensors, count())
    down = [f"encoder.down_blocks.{level}.attentions.0.to_q.weight" in tensors for level in levels]
    up = [f"decoder.up_blocks.{level}.attentions.0.to_q.weight" in tensors for level in levels]
    codes, size = tensors["quantize.embedding.weight"].shape
    return {
        "in_channels": tensors["encoder.conv_in.weight"].shape[1],
        "out_channels": len(tensors["decoder.conv_out.weight"]),
        "down_block_types": tuple("AttnDownEncoderBlock2D" if attends else "DownEncoderBlock2D" for attends in down),
        "up_block_types": tuple("AttnUpDecoderBlock2D" if attends else "UpDecoderBlock2D" for attends in up),
        "block_out_channels": tuple(len(tensors[first(level)]) for level in levels),
        "layers_per_block": len(list(blocks)),
        "latent_channels": len(tensors["encoder.conv_out.weight"]),
        "num_vq_embeddings": codes,
        "vq_embed_dim": size,
        "norm_type": "spatial" if "decoder.conv_norm_out.conv_y.weight" in tensors else "group",
        "mid_block_add_attention": "encoder.mid_block.attentions.0.to_q.weight" in tensors,
    }


def _typical() -> frozenset[str]:
    from diffusers import VQModel

    levels = 3
    with torch.device("meta"):
        network = VQModel(
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            block_out_channels=(128, 256, 512),
            layers_per_block=2,
        )
    return frozenset(network.state_dict())


ARCHITECTURE: Final = Architecture(NAME, detect, load, _typical)
