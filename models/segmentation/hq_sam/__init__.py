"""HQ-SAM in the layout of its authors (vit_b, vit_l, vit_h, and the light one with a TinyViT), and in transformers'."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from torch import nn

from ... import weights
from ...errors import BadCheckpoint
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
    found = sam.authors_tensors(checkpoint, what)
    told = sam.told(checkpoint)
    try:
        if "image_encoder.patch_embed.seq.0.c.weight" in found:
            config = architecture.read_tiny_vit_config(found, told)
        else:
            config = architecture.read_config(found, told)
    except KeyError as error:
        raise BadCheckpoint(f"{what}: its tensor {error} is missing; download it again.") from error
    network, tensors = build(config), tiny_vit.without_counts(found)
    sam.fill(network, tensors, what)
    made = architecture.parts(network)
    made.image_encoder.to(dtype_for(sum(parameter.numel() for parameter in made.image_encoder.parameters())))
    return HqSamSegmenter(made, config, weights.identity(tensors))


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
