"""MobileSAM (Zhang et al. 2023): SAM's prompt encoder and mask decoder behind a TinyViT."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import torch

from .. import weights
from ..families import Family
from ..files.checkpoints import Checkpoint, described
from ..files.usual_names import usual_names
from ..random_weights import random_tensors, write
from ..weights import DtypeFor
from . import sam
from .base import Segmenter
from .sam import tiny_vit
from .sam.architecture import TinyVitConfig, build, read_tiny_vit_config
from .sam.segmenter import SamSegmenter

NAME: Final = "MobileSAM"
KEYS: Final = frozenset({"image_encoder.patch_embed.seq.0.c.weight", "mask_decoder.iou_token.weight"})
VIT_T: Final = TinyVitConfig(
    image_size=1024,
    patch_size=16,
    widths=(64, 128, 160, 320),
    depths=(2, 2, 6, 2),
    heads=(4, 5, 10),
    windows=(7, 14, 7),
    hidden=(512, 640, 1280),
    hidden_first=256,
    prompt_dim=256,
    mask_in_chans=16,
    decoder_depth=2,
    decoder_mlp_dim=2048,
    decoder_num_heads=8,
    decoder_downsample=2,
    num_multimasks=3,
    iou_head_depth=3,
    iou_head_dim=256,
)
TINY: Final = TinyVitConfig(
    image_size=128,
    patch_size=16,
    widths=(8, 16, 24, 32),
    depths=(1, 2, 1, 1),
    heads=(2, 3, 4),
    windows=(3, 5, 4),
    hidden=(24, 40, 64),
    hidden_first=12,
    prompt_dim=32,
    mask_in_chans=8,
    decoder_depth=2,
    decoder_mlp_dim=24,
    decoder_num_heads=2,
    decoder_downsample=2,
    num_multimasks=3,
    iou_head_depth=2,
    iou_head_dim=40,
)


class MobileSamSegmenter(SamSegmenter):
    """SAM's way with images and prompts."""

    architecture = "MobileSAM"


def detect(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint has a TinyViT as image encoder, and SAM's mask decoder without HQ-SAM's token."""
    return checkpoint.tensors.keys() >= KEYS and sam.HF_TOKEN not in checkpoint.tensors


def load(checkpoint: Checkpoint, dtype_for: DtypeFor) -> MobileSamSegmenter:
    """Build the segmenter of a checkpoint that `detect` claims; `dtype_for` is asked for the image encoder.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape.
    """
    what = f"{checkpoint.name}, {NAME}"
    tensors = tiny_vit.without_counts(checkpoint.tensors)
    config = sam.configured(read_tiny_vit_config, tensors, described(checkpoint.metadata), what)
    return MobileSamSegmenter(sam.filled(build(config), tensors, what, dtype_for), config, weights.identity(tensors))


def tiny(folder: Path) -> Path:
    """A file of a few thousand random weights."""
    told = {"image_size": TINY.image_size, "decoder_num_heads": TINY.decoder_num_heads}
    return write(folder / "tiny.safetensors", random_file(TINY), **told)


def random_file(config: TinyVitConfig) -> dict[str, torch.Tensor]:
    """The tensors of a file with random weights, with the classifier that published ones have."""
    width = config.widths[-1]
    classifier = {
        "norm_head.weight": (width,),
        "norm_head.bias": (width,),
        "head.weight": (5, width),
        "head.bias": (5,),
    }
    shapes = {**dict(tiny_vit.in_file(build(config), {})), **{f"image_encoder.{k}": v for k, v in classifier.items()}}
    return random_tensors(shapes)


FAMILY: Final[Family[Segmenter]] = Family(NAME, detect, load, tiny, typical=partial(usual_names, NAME))
