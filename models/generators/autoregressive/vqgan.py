"""VQGAN (Esser et al. 2021) in the layout of taming-transformers: its nearest codes, or those of Gumbel's quantiser.

The network is diffusers' VQModel under other names. A file of training has the discriminator and LPIPS too, under
`loss.`; they are left out. A latent diffusion model's autoencoder with codes has the same layout.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn

from ... import weights
from ...diffusion.single_file import flat_attention, original_vae_name, vae_name
from ...errors import BadCheckpoint
from ...families import Family
from ...files import beside
from ...files.checkpoints import Checkpoint
from ...files.usual_names import usual_names
from ...random_weights import random_weights, write
from ...weights import DtypeFor, Tensors, empty_weights, full_precision
from ..vae.autoencoder import Autoencoder
from . import vq_model
from .vq_model import VQModelCoder

if TYPE_CHECKING:
    from diffusers import VQModel

NAME: Final = "VQGAN"
FIRST_STAGE: Final = "first_stage_model."
"""Prefix of a latent diffusion model's autoencoder."""
LOSS: Final = "loss."
BOOK: Final = "quantize.embedding.weight"
GUMBEL_BOOK: Final = "quantize.embed.weight"
SCORES: Final = "quantize.proj."
PARTS: Final = ("encoder.", "decoder.", "quantize.", "quant_conv.", "post_quant_conv.")
ENDS: Final = (
    "encoder.down.0.block.0.conv1.weight",
    "decoder.up.0.block.0.conv1.weight",
    "quant_conv.weight",
    "post_quant_conv.weight",
)


class GumbelCoder(VQModelCoder):
    """Scores every code at each place, and takes the best one (Jang et al. 2017), whatever lies nearest."""

    def __init__(self, network: VQModel) -> None:
        super().__init__(network)
        codes, size = self.book.shape
        self.scores = nn.Conv2d(size, codes, 1)

    def codes(self, latents: torch.Tensor) -> torch.Tensor:
        return self.scores(latents).argmax(dim=1)


def bare(tensors: Tensors) -> dict[str, torch.Tensor]:
    """Without the prefix of a first stage, and without what only training needs."""
    named = {name.removeprefix(FIRST_STAGE): value for name, value in tensors.items()}
    return {name: value for name, value in named.items() if not name.startswith(LOSS)}


def detect(checkpoint: Checkpoint) -> bool:
    """Encoder, decoder and codebook under the original's names, and nothing beside them."""
    named = bare(checkpoint.tensors)
    has_book = BOOK in named or {GUMBEL_BOOK, f"{SCORES}weight"} <= named.keys()
    return has_book and all(end in named for end in ENDS) and all(name.startswith(PARTS) for name in named)


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> Autoencoder:
    """Sizes are read from names and shapes; metadata, or a config.json beside the file, tells the norms' groups and the
    side, else they are the 32 and the 256 pixels of all published files.

    Raises:
        BadCheckpoint: a tensor too many or too few, or widths that the groups do not divide.
    """
    told = beside.told(checkpoint, vq_model.NAME)
    coder = build(checkpoint.tensors, told, checkpoint.name)
    return vq_model.autoencoder(NAME, coder, told, weights.identity(bare(checkpoint.tensors)))


def build(tensors: Tensors, told: dict[str, Any], name: str) -> VQModelCoder:
    """The filled network of a file's tensors. name: of the file, as messages begin."""
    prefix = FIRST_STAGE if any(each.startswith(FIRST_STAGE) for each in tensors) else ""
    own = bare(tensors)
    levels = weights.count_layers(own, "decoder.up.{}.block.0.conv1.weight")
    renamed = {vae_name(each, levels): flat_attention(each, value) for each, value in own.items()}
    is_gumbel = GUMBEL_BOOK in renamed
    if is_gumbel:
        renamed[BOOK] = renamed.pop(GUMBEL_BOOK)
    scores = {each: renamed.pop(each) for each in list(renamed) if is_gumbel and each.startswith(SCORES)}
    groups = told.get("norm_num_groups", vq_model.NORM_GROUPS)
    for level, width in enumerate(vq_model.configuration(renamed)["block_out_channels"]):
        if width % groups:
            raise BadCheckpoint(
                f"{name}, {NAME}: the {width} channels of encoder.down.{level}.block.0.conv1 do not divide into "
                f"{groups} groups, and it does not tell how many its norms have; choose another file."
            )
    coder = vq_model.build(renamed, told)
    if is_gumbel:
        with empty_weights():
            coder = GumbelCoder(coder.network)
        weights.fill(coder.scores, weights.under(scores, SCORES), f"{name}, {NAME}, {SCORES.rstrip('.')}")
    # Before they are renamed, so that messages have the file's names.
    fitting = original(coder.network.state_dict(), levels, is_gumbel)
    weights.check_fit(
        {prefix + key: value.shape for key, value in fitting.items()},
        {prefix + key: value for key, value in own.items() if not key.startswith(SCORES)},
        f"{name}, {NAME}",
    )
    weights.fill(coder.network, renamed, f"{name}, {NAME}")
    return coder


def original(tensors: Tensors, levels: int, is_gumbel: bool = False) -> dict[str, torch.Tensor]:
    """A VQModel's state dict under the original's names. levels: of its resolutions."""
    named = {}
    for name, value in tensors.items():
        projection = ".attentions." in name and value.ndim == 2
        named[original_vae_name(name, levels)] = value[..., None, None] if projection else value
    if is_gumbel:
        named[GUMBEL_BOOK] = named.pop(BOOK)
    return named


def tiny(folder: Path) -> Path:
    """A file with the discriminator's first tensors, as training leaves them."""
    tensors = original(random_weights(vq_model.of_widths((32, 32), 1, codes=16)), levels=2)
    tensors[f"{LOSS}discriminator.main.0.weight"] = torch.zeros(1)
    return write(folder / "tiny.safetensors", tensors)


def _typical() -> frozenset[str]:
    return frozenset(original_vae_name(name, 3) for name in usual_names(vq_model.NAME))


FAMILY: Final = Family(NAME, detect, load, tiny, beside.files, _typical)
