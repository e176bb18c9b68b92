"""Single files of Stable Diffusion 1.x in the original layout, base and inpainting models."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ...diffusion import single_file
from ...diffusion.loading import assemble
from ...diffusion.networks import DtypeFor
from ...diffusion.single_file import TEXT_ENCODER, UNET, VAE
from ...families import Family
from ...files.checkpoints import Checkpoint
from ...weights import full_precision
from .latent_diffusion import TextToImage

NAME: Final = "Stable Diffusion 1.x"


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> TextToImage:
    """The generator of a single file; what shapes cannot tell is that of Stable Diffusion 1.x."""
    parts, tensors = single_file.convert(checkpoint.tensors, NAME)
    networks = assemble(NAME, parts, tensors, single_file.TOKENIZER, dtype_for)
    return TextToImage(networks, architecture=NAME)


def typical() -> frozenset[str]:
    """Names at the ends of the parts, the same in every such file; those of the blocks between are left out."""
    ends = {
        UNET: single_file.UNET_ENDS,
        VAE: ("encoder.conv_in", "encoder.conv_out", "decoder.conv_in", "decoder.conv_out"),
    }
    layers = [f"{prefix}{layer}" for prefix, names in ends.items() for layer in names]
    text = [f"{TEXT_ENCODER}text_model.final_layer_norm"]
    return frozenset(f"{layer}.{kind}" for layer in (*layers, *text) for kind in ("weight", "bias"))


def detect(checkpoint: Checkpoint) -> bool:
    """U-Net, VAE and text encoder in the original layout."""
    return single_file.detect(checkpoint.tensors)


def tiny(folder: Path) -> Path:
    raise NotImplementedError


FAMILY: Final = Family(NAME, detect, load, tiny, typical=typical)
