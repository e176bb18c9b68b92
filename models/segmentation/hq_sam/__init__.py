"""HQ-SAM in the layout of its authors (vit_b, vit_l, vit_h, and the light one with a TinyViT), and in transformers'."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from torch import nn

from ... import weights
from ...families import Family
from ...files.checkpoints import Checkpoint
from ...files.usual_names import usual_names
from ...random_weights import write_random
from ...weights import DtypeFor, empty_weights
from .. import sam
from ..base import Segmenter
from ..sam import architecture, tiny_vit
from ..sam.architecture import SamConfig, TinyVitConfig
from ..sam.names import HQ_TOKEN
from .mask_decoder import HqMaskDecoder
from .segmenter import HqSamSegmenter

NAME: Final = "HQ-SAM"
TINY: Final = replace(sam.TINY, global_blocks=(1, 2), depth=4)


def detect(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint has HQ-SAM's token, by the authors' or transformers' name, or is a folder that says so."""
    return checkpoint.config.get("model_type") == "sam_hq" or bool(checkpoint.tensors.keys() & {sam.HF_TOKEN, HQ_TOKEN})


def load(checkpoint: Checkpoint, dtype_for: DtypeFor) -> HqSamSegmenter:
    """Build the segmenter of a checkpoint that `detect` claims; `dtype_for` is asked for the image encoder.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape.
    """
    what = f"{checkpoint.name}, {NAME}"
    tensors = tiny_vit.without_counts(sam.authors_tensors(checkpoint, what))
    light = "image_encoder.patch_embed.seq.0.c.weight" in tensors
    read = architecture.read_tiny_vit_config if light else architecture.read_config
    config = sam.configured(read, tensors, sam.told(checkpoint), what)
    return HqSamSegmenter(sam.filled(build(config), tensors, what, dtype_for), config, weights.identity(tensors))


def build(config: SamConfig | TinyVitConfig) -> nn.ModuleDict:
    """The network on the meta device, without storage, its parts named as in `architecture.Parts`."""
    with empty_weights():
        return nn.ModuleDict(
            {
                "image_encoder": architecture.image_encoder(config),
                "prompt_encoder": architecture.prompt_encoder(config),
                "mask_decoder": HqMaskDecoder(
                    architecture.two_way_transformer(config),
                    config.num_multimasks,
                    config.iou_head_depth,
                    config.iou_head_dim,
                    early=config.widths[2] if isinstance(config, TinyVitConfig) else config.embed_dim,
                ),
            }
        )


def tiny(folder: Path) -> Path:
    """A file of a few thousand random weights."""
    return write_random(folder, build(TINY), decoder_num_heads=TINY.decoder_num_heads)


FAMILY: Final[Family[Segmenter]] = Family(NAME, detect, load, tiny, typical=partial(usual_names, NAME))
