"""What the tensors of SAM and HQ-SAM are called in transformers' layout, and in their authors'."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

import torch

from ...errors import BadCheckpoint
from ...weights import count_layers

TRANSFORMERS: Final = frozenset({"vision_encoder.patch_embed.projection.weight", "mask_decoder.iou_token.weight"})
"""Tensors that tell transformers' layout of both."""
HQ_TOKEN: Final = "mask_decoder.hq_token.weight"
"""The tensor there that only HQ-SAM has."""
POSITIONS: Final = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
_AUTHORS: Final = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^(shared_image_embedding|prompt_encoder\.shared_embedding)\.positional_embedding$", POSITIONS),
        (r"^prompt_encoder\.point_embed\.", "prompt_encoder.point_embeddings."),
        (r"^prompt_encoder\.mask_embed\.conv1\.", "prompt_encoder.mask_downscaling.0."),
        (r"^prompt_encoder\.mask_embed\.layer_norm1\.", "prompt_encoder.mask_downscaling.1."),
        (r"^prompt_encoder\.mask_embed\.conv2\.", "prompt_encoder.mask_downscaling.3."),
        (r"^prompt_encoder\.mask_embed\.layer_norm2\.", "prompt_encoder.mask_downscaling.4."),
        (r"^prompt_encoder\.mask_embed\.conv3\.", "prompt_encoder.mask_downscaling.6."),
        (r"^vision_encoder\.neck\.conv1\.", "image_encoder.neck.0."),
        (r"^vision_encoder\.neck\.layer_norm1\.", "image_encoder.neck.1."),
        (r"^vision_encoder\.neck\.conv2\.", "image_encoder.neck.2."),
        (r"^vision_encoder\.neck\.layer_norm2\.", "image_encoder.neck.3."),
        (r"^vision_encoder\.patch_embed\.projection\.", "image_encoder.patch_embed.proj."),
        (r"^vision_encoder\.layers\.", "image_encoder.blocks."),
        (r"^vision_encoder\.", "image_encoder."),
        (r"\.layer_norm(\d|_final_attn)\.", r".norm\1."),
        (r"^mask_decoder\.upscale_conv1\.", "mask_decoder.output_upscaling.0."),
        (r"^mask_decoder\.upscale_layer_norm\.", "mask_decoder.output_upscaling.1."),
        (r"^mask_decoder\.upscale_conv2\.", "mask_decoder.output_upscaling.3."),
        (r"^mask_decoder\.hq_token\.", "mask_decoder.hf_token."),
        (r"^mask_decoder\.hq_mask_mlp\.", "mask_decoder.hf_mlp."),
        (r"^mask_decoder\.compress_vit_conv1\.", "mask_decoder.compress_vit_feat.0."),
        (r"^mask_decoder\.compress_vit_norm\.", "mask_decoder.compress_vit_feat.1."),
        (r"^mask_decoder\.compress_vit_conv2\.", "mask_decoder.compress_vit_feat.3."),
        (r"^mask_decoder\.encoder_conv1\.", "mask_decoder.embedding_encoder.0."),
        (r"^mask_decoder\.encoder_norm\.", "mask_decoder.embedding_encoder.1."),
        (r"^mask_decoder\.encoder_conv2\.", "mask_decoder.embedding_encoder.3."),
        (r"^mask_decoder\.mask_conv1\.", "mask_decoder.embedding_maskfeature.0."),
        (r"^mask_decoder\.mask_norm\.", "mask_decoder.embedding_maskfeature.1."),
        (r"^mask_decoder\.mask_conv2\.", "mask_decoder.embedding_maskfeature.3."),
    )
)
_MLP: Final = re.compile(r"^(mask_decoder\.(?:output_hypernetworks_mlps\.\d+|iou_prediction_head|hf_mlp))\.(.+)\.")


def in_authors_layout(name: str, names: Collection[str]) -> str:
    """What a tensor of transformers' layout is called in the authors' files. names: of all tensors beside it."""
    found = name
    for pattern, replacement in _AUTHORS:
        found = pattern.sub(replacement, found)
    mlp = _MLP.match(found)
    if mlp is None:
        return found
    # Transformers has other names for the first and the last layer of an MLP, and counts those between.
    place = mlp[2]
    if place == "proj_in":
        number = 0
    elif place == "proj_out":
        number = 1 + count_layers(names, name.replace(".proj_out.", ".layers.{}."))
    else:
        number = 1 + int(place.removeprefix("layers."))
    return f"{mlp[1]}.layers.{number}.{found.rpartition('.')[2]}"


def of_transformers(found: Mapping[str, torch.Tensor], what: str) -> dict[str, torch.Tensor]:
    """The tensors of transformers' layout under the authors' names; the positions, which may be there twice, once.

    Raises:
        BadCheckpoint: two tensors that ought to be one differ.
    """
    tensors: dict[str, torch.Tensor] = {}
    for name, value in found.items():
        own = in_authors_layout(name, found)
        if own in tensors and not torch.equal(tensors[own], value):
            raise BadCheckpoint(f"{what}: {name} is not what its other tensors say of {own}; download it again.")
        tensors[own] = value
    return tensors
