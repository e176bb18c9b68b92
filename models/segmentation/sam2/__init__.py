"""Segment Anything 2 (SAM 2.1, and 2.0) for images: Meta's `.pt` files, and transformers' folders.

Files for videos hold more than images need; that is named in `names.py`, and left where it is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch

from ... import weights
from ...errors import BadCheckpoint
from ...families import Family
from ...files.checkpoints import Checkpoint
from ...files.folders import CONFIG, write_json
from ...files.usual_names import usual_names
from ...random_weights import random_weights, write
from ...weights import DtypeFor
from ..base import Segmenter
from . import names
from .architecture import STABILITY, Sam2Config, build, from_config, from_shapes, parts
from .segmenter import Sam2Segmenter

NAME: Final = "SAM 2"
META: Final = frozenset({"image_encoder.trunk.patch_embed.proj.weight", "sam_mask_decoder.conv_s0.weight"})
TRANSFORMERS: Final = frozenset({"vision_encoder.backbone.pos_embed_window", "mask_decoder.conv_s0.weight"})
"""Tensors that tell the two layouts."""
MODEL_TYPES: Final = ("sam2", "sam2_video")
"""What transformers' config.json says."""


def detect(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint has SAM 2's image encoder and mask decoder under Meta's or transformers' names, or is a
    folder that says so."""
    named = checkpoint.config.get("model_type") in MODEL_TYPES
    return named or checkpoint.tensors.keys() >= META or checkpoint.tensors.keys() >= TRANSFORMERS


def load(checkpoint: Checkpoint, dtype_for: DtypeFor) -> Sam2Segmenter:
    """Build the segmenter of a checkpoint that `detect` claims; `dtype_for` is asked for the image encoder.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape; the size or the configuration is none that
            the pack builds; transformers' weights without their config.json.
    """
    what = f"{checkpoint.name}, {NAME}"
    in_file: Callable[[str], str]
    if checkpoint.tensors.keys() >= META:
        config = from_shapes(checkpoint.tensors, what)
        tensors = {name: value for name, value in checkpoint.tensors.items() if name not in names.META_VIDEO}
        in_file = names.in_meta_layout
    elif checkpoint.config:
        config = from_config(checkpoint.config, what)
        tensors = _of_transformers(checkpoint.tensors, what)
        in_file = _in_transformers_layout(config)
    else:
        raise BadCheckpoint(
            f"{what}: these are the weights of a transformers folder, whose config.json tells how they are used; "
            "choose the folder with both."
        )
    return _load(tensors, in_file, config, what, dtype_for)


def _of_transformers(found: weights.Tensors, what: str) -> dict[str, torch.Tensor]:
    """The tensors for images, the stacked ones row by row, and the positions once."""
    tensors = {name: value for name, value in found.items() if name not in names.TRANSFORMERS_VIDEO}
    again = tensors.pop(names.POSITIONS_AGAIN, None)
    if again is not None and not torch.equal(again, tensors.setdefault(names.POSITIONS, again)):
        raise BadCheckpoint(f"{what}: {names.POSITIONS_AGAIN} is not {names.POSITIONS}; download it again.")
    stacked = tensors.pop(names.STACKED, None)
    if stacked is not None:
        tensors |= {f"{names.STACKED}[{row}]": value for row, value in enumerate(stacked.split(1))}
    return tensors


def _in_transformers_layout(config: Sam2Config) -> Callable[[str], str]:
    return lambda name: names.in_transformers_layout(name, config.iou_head_depth)


def _load(
    found: weights.Tensors, in_file: Callable[[str], str], config: Sam2Config, what: str, dtype_for: DtypeFor
) -> Sam2Segmenter:
    network = build(config)
    expected = network.state_dict()
    weights.check_fit({in_file(name): value.shape for name, value in expected.items()}, found, what)
    tensors = {name: found[in_file(name)] for name in expected}
    weights.fill(network, tensors, what)
    made = parts(network)
    made.image_encoder.to(dtype_for(sum(parameter.numel() for parameter in made.image_encoder.parameters())))
    # Of the network's own names: the same weights are the same model in both layouts.
    return Sam2Segmenter(made, config, weights.identity(tensors))


TINY: Final = Sam2Config(
    widths=(8, 16, 32, 64),
    depths=(1, 2, 2, 1),
    heads=(1, 2, 4, 8),
    windows=(4, 2, 6, 2),
    global_blocks=(3,),
    background=3,
    image_size=128,
    dim=32,
    mask_in_chans=8,
    decoder_mlp_dim=24,
    decoder_num_heads=2,
    iou_head_dim=20,
)


def tiny(folder: Path) -> Path:
    """A transformers folder of a few thousand random weights."""
    path = folder / "tiny"
    path.mkdir()
    write_json(path / CONFIG, _told(TINY))
    in_file = _in_transformers_layout(TINY)
    tensors = {in_file(name): value for name, value in random_weights(build(TINY)).items()}
    rows = [tensors.pop(f"{names.STACKED}[{row}]") for row in range(4)]
    write(path / "model.safetensors", {**tensors, names.STACKED: torch.cat(rows)})
    return path


def _told(config: Sam2Config) -> dict[str, Any]:
    """A configuration as transformers writes it."""
    stability = config.stability or STABILITY
    return {
        "model_type": "sam2",
        "vision_config": {
            "backbone_config": {
                "image_size": [config.image_size] * 2,
                "patch_kernel_size": [7, 7],
                "patch_stride": [4, 4],
                "patch_padding": [3, 3],
                "query_stride": [2, 2],
                "num_query_pool_stages": 3,
                "hidden_act": "gelu",
                "embed_dim_per_stage": config.widths,
                "blocks_per_stage": config.depths,
                "num_attention_heads_per_stage": config.heads,
                "window_size_per_stage": config.windows,
                "global_attention_blocks": config.global_blocks,
                "window_positional_embedding_background_size": [config.background] * 2,
                "mlp_ratio": config.mlp_ratio,
            },
            "backbone_channel_list": config.widths[::-1],
            "fpn_hidden_size": config.dim,
            "fpn_kernel_size": 1,
            "fpn_top_down_levels": config.top_down,
            "num_feature_levels": 3,
        },
        "prompt_encoder_config": {
            "hidden_size": config.dim,
            "hidden_act": "gelu",
            "image_size": config.image_size,
            "patch_size": 16,
            "mask_input_channels": config.mask_in_chans,
        },
        "mask_decoder_config": {
            "hidden_size": config.dim,
            "hidden_act": "gelu",
            "num_hidden_layers": config.decoder_depth,
            "mlp_dim": config.decoder_mlp_dim,
            "num_attention_heads": config.decoder_num_heads,
            "attention_downsample_rate": config.decoder_downsample,
            "num_multimask_outputs": config.num_multimasks,
            "iou_head_depth": config.iou_head_depth,
            "iou_head_hidden_dim": config.iou_head_dim,
            "dynamic_multimask_via_stability": config.stability is not None,
            "dynamic_multimask_stability_delta": stability.delta,
            "dynamic_multimask_stability_thresh": stability.threshold,
        },
    }


FAMILY: Final[Family[Segmenter]] = Family(NAME, detect, load, tiny, typical=partial(usual_names, NAME))
