"""Which tensors a published Grounding DINO holds, and how one of random weights is written in that layout."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import torch

from .grounding_dino_published import convert

MODULES: Final = (
    "backbone.0.patch_embed.proj backbone.0.patch_embed.norm backbone.0.norm1 backbone.0.norm2 backbone.0.norm3 "
    "bert.embeddings.LayerNorm feat_map transformer.decoder.norm transformer.enc_output transformer.enc_output_norm "
    "transformer.decoder.ref_point_head.layers.0 transformer.decoder.ref_point_head.layers.1"
)
SWIN_MODULES: Final = "norm1 attn.qkv attn.proj norm2 mlp.fc1 mlp.fc2"
BERT_MODULES: Final = (
    "attention.self.query attention.self.key attention.self.value attention.output.dense attention.output.LayerNorm "
    "intermediate.dense output.dense output.LayerNorm"
)
IMAGE_MODULES: Final = (
    "self_attn.sampling_offsets self_attn.attention_weights self_attn.value_proj self_attn.output_proj norm1 linear1 "
    "linear2 norm2"
)
TEXT_MODULES: Final = "self_attn.out_proj linear1 linear2 norm1 norm2"
FUSION_MODULES: Final = (
    "layer_norm_v layer_norm_l attn.v_proj attn.l_proj attn.values_v_proj attn.values_l_proj attn.out_v_proj "
    "attn.out_l_proj"
)
DECODER_MODULES: Final = (
    "cross_attn.sampling_offsets cross_attn.attention_weights cross_attn.value_proj cross_attn.output_proj norm1 "
    "ca_text.out_proj catext_norm self_attn.out_proj norm2 linear1 linear2 norm3"
)
"""Modules with a weight and a bias, between spaces: of the network, and of one block or layer of each part."""

WEIGHTS: Final = (
    "transformer.level_embed transformer.tgt_embed.weight bert.embeddings.word_embeddings.weight "
    "bert.embeddings.position_embeddings.weight bert.embeddings.token_type_embeddings.weight"
)
"""The network's other tensors."""


INDEX: Final = "attn.relative_position_index"
"""How tensors end that hold no weights; see `relative_position_index`."""

HEAD: Final = re.compile(r"(?:transformer\.decoder\.)?bbox_embed\.\d+")


def names(config: Mapping[str, Any]) -> frozenset[str]:
    """Every tensor that a published file of this configuration must hold; EXTRAS may stand beside them."""
    depths = config["backbone_config"]["depths"]
    blocks = [f"{stage}.blocks.{block}" for stage, depth in enumerate(depths) for block in range(depth)]
    swin = [f"backbone.0.layers.{block}." for block in blocks]
    merging = [f"backbone.0.layers.{stage}.downsample." for stage in range(len(depths) - 1)]
    bert = [f"bert.encoder.layer.{layer}." for layer in range(config["text_config"]["num_hidden_layers"])]
    image, text, fusion = (
        [f"transformer.encoder.{part}.{layer}." for layer in range(config["encoder_layers"])]
        for part in ("layers", "text_layers", "fusion_layers")
    )
    decoder = [f"transformer.decoder.layers.{layer}." for layer in range(config["decoder_layers"])]
    heads = [f"{owner}bbox_embed.{layer}." for owner in ("", "transformer.decoder.") for layer in range(len(decoder))]
    modules = [
        *MODULES.split(),
        *_each(swin, SWIN_MODULES),
        *_each(merging, "norm"),
        *_each(bert, BERT_MODULES),
        *_each(image, IMAGE_MODULES),
        *_each(text, TEXT_MODULES),
        *_each(fusion, FUSION_MODULES),
        *_each(decoder, DECODER_MODULES),
        *_each([*heads, "transformer.enc_out_bbox_embed."], "layers.0 layers.1 layers.2"),
        *(f"input_proj.{level}.{place}" for level in range(config["num_feature_levels"]) for place in (0, 1)),
    ]
    attentions = [*_each(text, "self_attn"), *_each(decoder, "self_attn ca_text")]
    return frozenset(
        [
            *_each([f"{module}." for module in modules], "weight bias"),
            *WEIGHTS.split(),
            *_each(swin, f"attn.relative_position_bias_table {INDEX}"),
            *_each(merging, "reduction.weight"),
            *_each(fusion, "gamma_v gamma_l"),
            *_each([f"{attention}." for attention in attentions], "in_proj_weight in_proj_bias"),
        ]
    )


def _each(starts: Iterable[str], ends: str) -> list[str]:
    return [start + end for start in starts for end in ends.split()]


def typical() -> frozenset[str]:
    """The names of groundingdino_swint_ogc.pth, but for EXTRAS."""
    return names(
        {
            "backbone_config": {"depths": [2, 2, 6, 2]},
            "text_config": {"num_hidden_layers": 12},
            "encoder_layers": 6,
            "decoder_layers": 6,
            "num_feature_levels": 4,
        }
    )


def revert(tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The inverse of `convert`, for a network whose decoder layers share one head, saved once."""
    index = relative_position_index(config["backbone_config"]["window_size"])
    made = {}
    for name in names(config):
        if name.endswith(INDEX):
            made[name] = index.clone()
        else:
            saved = HEAD.sub("bbox_embed.0", name)
            parts = convert({saved: torch.zeros(3)})
            made[name] = torch.cat([tensors[part] for part in parts])
    return made


def relative_position_index(window: int) -> torch.Tensor:
    """int64 [window^2, window^2]: for two cells of a Swin window, the row of their offset in the bias table."""
    cells = torch.cartesian_prod(torch.arange(window), torch.arange(window))
    offsets = cells[:, None] - cells[None, :] + window - 1
    return offsets[..., 0] * (2 * window - 1) + offsets[..., 1]
