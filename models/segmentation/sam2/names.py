"""What the tensors of a SAM 2 network are called in files: in Meta's layout, and in transformers'."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

STACKED: Final = "prompt_encoder.point_embed.weight"
"""Transformers keeps as one tensor what the network has as several; `[i]` stands for a row of it."""
POSITIONS: Final = "shared_image_embedding.positional_embedding"
POSITIONS_AGAIN: Final = "prompt_encoder.shared_embedding.positional_embedding"
"""Transformers has the positions twice; some of its releases write them once."""


def in_meta_layout(name: str) -> str:
    """What a tensor of the network is called in the published `.pt` files."""
    if name == "mask_decoder.no_mem_embed":
        return "no_mem_embed"
    name = re.sub(r"(transformer\.layers\.\d+\.mlp)\.lin(\d)", lambda m: f"{m[1]}.layers.{int(m[2]) - 1}", name)
    return re.sub(r"^(prompt_encoder|mask_decoder)\.", r"sam_\1.", name)


_TRANSFORMERS: Final = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^mask_decoder\.no_mem_embed$", "no_memory_embedding"),
        (r"^prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix$", POSITIONS),
        (r"^prompt_encoder\.point_embeddings\.(\d+)\.weight$", rf"{STACKED}[\1]"),
        (r"^prompt_encoder\.mask_downscaling\.0\.", "prompt_encoder.mask_embed.conv1."),
        (r"^prompt_encoder\.mask_downscaling\.1\.", "prompt_encoder.mask_embed.layer_norm1."),
        (r"^prompt_encoder\.mask_downscaling\.3\.", "prompt_encoder.mask_embed.conv2."),
        (r"^prompt_encoder\.mask_downscaling\.4\.", "prompt_encoder.mask_embed.layer_norm2."),
        (r"^prompt_encoder\.mask_downscaling\.6\.", "prompt_encoder.mask_embed.conv3."),
        (r"^image_encoder\.trunk\.", "vision_encoder.backbone."),
        (r"^image_encoder\.neck\.convs\.(\d+)\.conv\.", r"vision_encoder.neck.convs.\1."),
        (r"\.patch_embed\.proj\.", ".patch_embed.projection."),
        (r"(blocks\.\d+\.mlp)\.layers\.0\.", r"\1.proj_in."),
        (r"(blocks\.\d+\.mlp)\.layers\.1\.", r"\1.proj_out."),
        (r"\.mlp\.lin1\.", ".mlp.proj_in."),
        (r"\.mlp\.lin2\.", ".mlp.proj_out."),
        (r"\.norm(\d|_final_attn)\.", r".layer_norm\1."),
        (r"\.out_proj\.", ".o_proj."),
        (r"^mask_decoder\.output_upscaling\.0\.", "mask_decoder.upscale_conv1."),
        (r"^mask_decoder\.output_upscaling\.1\.", "mask_decoder.upscale_layer_norm."),
        (r"^mask_decoder\.output_upscaling\.3\.", "mask_decoder.upscale_conv2."),
    )
)
_MLP: Final = re.compile(r"^(mask_decoder\.(?:output_hypernetworks_mlps\.\d+|iou_prediction_head|pred_obj_score_head))")


def in_transformers_layout(name: str, iou_head_depth: int) -> str:
    """What a tensor of the network is called in transformers' `Sam2Model`."""
    for pattern, replacement in _TRANSFORMERS:
        name = pattern.sub(replacement, name)
    if _MLP.match(name):
        last = (iou_head_depth if "iou_prediction_head" in name else 3) - 1
        return re.sub(r"\.layers\.(\d+)\.", lambda match: _layer(int(match[1]), last), name)
    return name


def _layer(index: int, last: int) -> str:
    """Transformers has other names for the first and the last layer of an MLP, and counts those between."""
    return {0: ".proj_in.", last: ".proj_out."}.get(index, f".layers.{index - 1}.")


def _weights(*modules: str) -> Iterator[str]:
    return (f"{module}.{kind}" for module in modules for kind in ("weight", "bias"))


def _memory(norm: str, out: str, layers: int = 4) -> Iterator[str]:
    """Names in the transformer over earlier frames."""
    for index in range(layers):
        layer = f"memory_attention.layers.{index}"
        for attention in ("self_attn", "cross_attn_image"):
            yield from _weights(*(f"{layer}.{attention}.{part}" for part in ("q_proj", "k_proj", "v_proj", out)))
        yield from _weights(*(f"{layer}.{part}" for part in ("linear1", "linear2", *(f"{norm}{n}" for n in (1, 2, 3)))))
    yield from _weights(f"memory_attention.{norm}")


META_VIDEO: Final = frozenset(
    {
        *("maskmem_tpos_enc", "no_mem_pos_enc", "no_obj_ptr", "no_obj_embed_spatial"),
        *_weights("mask_downsample", "obj_ptr_tpos_proj", *(f"obj_ptr_proj.layers.{i}" for i in range(3))),
        *_memory("norm", "out_proj"),
        *_weights(*(f"memory_encoder.mask_downsampler.encoder.{i}" for i in (0, 1, 3, 4, 6, 7, 9, 10, 12))),
        *_weights("memory_encoder.pix_feat_proj", "memory_encoder.out_proj"),
        *(f"memory_encoder.fuser.layers.{i}.gamma" for i in range(2)),
        *_weights(
            *(f"memory_encoder.fuser.layers.{i}.{part}" for i in range(2) for part in ("dwconv", "norm")),
            *(f"memory_encoder.fuser.layers.{i}.pwconv{n}" for i in range(2) for n in (1, 2)),
        ),
    }
)
"""Tensors of Meta's files that only serve videos: SAM 2.1's; SAM 2.0 lacks three of them."""

TRANSFORMERS_VIDEO: Final = frozenset(
    {
        *("memory_temporal_positional_encoding", "no_memory_positional_encoding", "no_object_pointer"),
        "occlusion_spatial_embedding_parameter",
        *_weights("mask_downsample", "temporal_positional_encoding_projection_layer"),
        *_weights(*(f"object_pointer_proj.{part}" for part in ("proj_in", "layers.0", "proj_out"))),
        *_memory("layer_norm", "o_proj"),
        *_weights(
            *(f"memory_encoder.mask_downsampler.layers.{i}.conv" for i in range(4)),
            *(f"memory_encoder.mask_downsampler.layers.{i}.layer_norm" for i in range(4)),
            *(f"memory_encoder.{part}" for part in ("mask_downsampler.final_conv", "feature_projection", "projection")),
        ),
        *(f"memory_encoder.memory_fuser.layers.{i}.scale" for i in range(2)),
        *_weights(
            *(
                f"memory_encoder.memory_fuser.layers.{i}.{part}"
                for i in range(2)
                for part in ("depthwise_conv", "layer_norm", "pointwise_conv1", "pointwise_conv2")
            )
        ),
    }
)
"""The same of transformers' `Sam2VideoModel`."""
