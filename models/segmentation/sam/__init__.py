"""Segment Anything (SAM) in the layout of package segment_anything and in transformers': vit_b, vit_l, vit_h, and the
starter's size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import torch
from torch import nn

from ... import weights
from ...errors import BadCheckpoint
from ...families import Family
from ...files.checkpoints import Checkpoint, described
from ...files.usual_names import usual_names
from ...random_weights import write_random
from ...weights import DtypeFor
from ..base import Segmenter
from . import tiny_vit
from .architecture import Parts, SamConfig, build, parts, read_config
from .names import HQ_TOKEN, TRANSFORMERS, of_transformers
from .segmenter import SamSegmenter

Config = TypeVar("Config")

NAME: Final = "SAM"
AUTHORS: Final = frozenset({"image_encoder.patch_embed.proj.weight", "mask_decoder.iou_token.weight"})
HF_TOKEN: Final = "mask_decoder.hf_token.weight"
"""The tensor that only HQ-SAM has."""
VIT_B: Final = SamConfig(
    image_size=1024,
    patch_size=16,
    embed_dim=768,
    depth=12,
    num_heads=12,
    mlp_ratio=4.0,
    global_blocks=(2, 5, 8, 11),
    window_size=14,
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
TINY: Final = SamConfig(
    image_size=64,
    patch_size=8,
    embed_dim=48,
    depth=3,
    num_heads=3,
    mlp_ratio=3.0,
    global_blocks=(1,),
    window_size=5,
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


def detect(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint has SAM's image encoder and mask decoder under the package's or transformers' names, or is
    a folder that says so."""
    names = checkpoint.tensors.keys()
    if checkpoint.config.get("model_type") == "sam":
        return True
    return (names >= AUTHORS or names >= TRANSFORMERS) and not names & {HF_TOKEN, HQ_TOKEN}


def load(checkpoint: Checkpoint, dtype_for: DtypeFor) -> SamSegmenter:
    """Build the segmenter of a checkpoint that `detect` claims; `dtype_for` is asked for the image encoder.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape.
    """
    what = f"{checkpoint.name}, {NAME}"
    tensors = authors_tensors(checkpoint, what)
    config = configured(read_config, tensors, told(checkpoint), what)
    return SamSegmenter(filled(build(config), tensors, what, dtype_for), config, weights.identity(tensors))


def configured(
    read: Callable[[Mapping[str, torch.Tensor], Mapping[str, Any]], Config],
    tensors: Mapping[str, torch.Tensor],
    known: Mapping[str, Any],
    what: str,
) -> Config:
    """The hyper-parameters that `architecture`'s `read` finds in these tensors and in what is `known` beside them.

    Raises:
        BadCheckpoint: a tensor that it reads is missing.
    """
    try:
        return read(tensors, known)
    except KeyError as error:
        raise BadCheckpoint(f"{what}: its tensor {error} is missing; download it again.") from error


def filled(network: nn.ModuleDict, tensors: weights.Tensors, what: str, dtype_for: DtypeFor) -> Parts:
    """The parts of a network of SAM's kin that is filled with exactly these tensors of a file in the authors' layout,
    see `weights.fill`; `dtype_for` is asked for the image encoder.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape.
    """
    weights.check_fit(dict(tiny_vit.in_file(network, tensors)), tensors, what)
    weights.fill(network, tiny_vit.folded(network, tensors), what)
    made = parts(network)
    made.image_encoder.to(dtype_for(sum(parameter.numel() for parameter in made.image_encoder.parameters())))
    return made


def authors_tensors(checkpoint: Checkpoint, what: str) -> Mapping[str, torch.Tensor]:
    """A checkpoint's tensors under the names of the authors' files."""
    authors = "mask_decoder.output_upscaling.0.weight" in checkpoint.tensors
    return checkpoint.tensors if authors else of_transformers(checkpoint.tensors, what)


def told(checkpoint: Checkpoint) -> Mapping[str, Any]:
    """What shapes cannot tell, where a file of the pack or a folder's configuration says it."""
    heads = checkpoint.config.get("mask_decoder_config", {}).get("num_attention_heads")
    return {**described(checkpoint.metadata), **({} if heads is None else {"decoder_num_heads": heads})}


def tiny(folder: Path) -> Path:
    """A file of a few thousand random weights, as the pack's own models are written."""
    return write_random(folder, build(TINY), decoder_num_heads=TINY.decoder_num_heads)


FAMILY: Final[Family[Segmenter]] = Family(NAME, detect, load, tiny, typical=partial(usual_names, NAME))
