"""Segment Anything (SAM) in the layout of package segment_anything: vit_b, vit_l, vit_h, and the starter's size."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from ... import weights
from ...errors import BadCheckpoint
from ...families import Family
from ...files.checkpoints import Checkpoint
from ...files.usual_names import usual_names
from ...random_weights import write_random
from ...weights import DtypeFor
from ..base import Segmenter
from .architecture import SamConfig, build, read_config
from .segmenter import SamSegmenter

if TYPE_CHECKING:
    from segment_anything.modeling import PromptEncoder

NAME: Final = "SAM"
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
    """Whether a checkpoint has SAM's image encoder and mask decoder under the package's names."""
    return {"image_encoder.patch_embed.proj.weight", "mask_decoder.iou_token.weight"} <= checkpoint.tensors.keys()


def load(checkpoint: Checkpoint, dtype_for: DtypeFor) -> SamSegmenter:
    """Build the segmenter of a checkpoint that `detect` claims; `dtype_for` is asked for the image encoder.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape.
    """
    what = f"{checkpoint.name}, {NAME}"
    try:
        config = read_config(checkpoint.tensors, checkpoint.metadata)
    except KeyError as error:
        raise BadCheckpoint(f"{what}: its tensor {error} is missing; download it again.") from error
    network = build(config)
    weights.fill(network, checkpoint.tensors, what)
    encoder = network["image_encoder"]
    encoder.to(dtype_for(sum(parameter.numel() for parameter in encoder.parameters())))
    identity = weights.identity(checkpoint.tensors)
    prompt_encoder = cast("PromptEncoder", network["prompt_encoder"])
    return SamSegmenter(encoder, prompt_encoder, network["mask_decoder"], config, identity)


def tiny(folder: Path) -> Path:
    """A file of a few thousand random weights, as the pack's own models are written."""
    return write_random(folder, build(TINY), decoder_num_heads=TINY.decoder_num_heads)


FAMILY: Final[Family[Segmenter]] = Family(NAME, detect, load, tiny, typical=partial(usual_names, NAME))
