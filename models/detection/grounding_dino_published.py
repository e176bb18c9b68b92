"""Grounding DINO as its authors publish it (`groundingdino_*.pth`), turned into what transformers 4.x calls the same.

transformers 5 renames inside, but loads and saves these names too. The map follows the modules of
IDEA-Research/GroundingDINO and of `transformers.models.grounding_dino`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import torch

SIGNATURE: Final = ("transformer.decoder.norm.weight", "feat_map.weight")
"""Tensors that only the published layout has together."""

EXTRAS: Final = frozenset(
    {
        "label_enc.weight",
        "bert.embeddings.position_ids",
        "bert.pooler.dense.weight",
        "bert.pooler.dense.bias",
    }
)
"""In the published files, and read by no one: training's label table, an index, BERT's sentence head."""

FUSED: Final = re.compile(r"(.*\.)(?:qkv\.|in_proj_)(weight|bias)")
"""Query, key and value of an attention in one tensor, in this order along dimension 0."""

SWIN: Final = "model.backbone.conv_encoder.model"
SWIN_BLOCK: Final = r"backbone\.0\.layers\.(\d+)\.blocks\.(\d+)"
SWIN_BLOCK_TO: Final = SWIN + r".encoder.layers.\1.blocks.\2"
TEXT: Final = r"transformer\.encoder\.text_layers\.(\d+)"
TEXT_TO: Final = r"model.encoder.layers.\1.text_enhancer_layer"
FUSION: Final = r"transformer\.encoder\.fusion_layers\.(\d+)"
FUSION_TO: Final = r"model.encoder.layers.\1.fusion_layer"
IMAGE: Final = r"transformer\.encoder\.layers\.(\d+)"
IMAGE_TO: Final = r"model.encoder.layers.\1.deformable_layer"
DECODER: Final = r"transformer\.decoder\.layers\.(\d+)"
DECODER_TO: Final = r"model.decoder.layers.\1"

RENAMES: Final = tuple(
    (re.compile(old), new)
    for old, new in (
        (r"backbone\.0\.patch_embed\.proj\.", SWIN + ".embeddings.patch_embeddings.projection."),
        (r"backbone\.0\.patch_embed\.norm\.", SWIN + ".embeddings.norm."),
        (r"backbone\.0\.norm1\.", SWIN + ".hidden_states_norms.stage2."),
        (r"backbone\.0\.norm2\.", SWIN + ".hidden_states_norms.stage3."),
        (r"backbone\.0\.norm3\.", SWIN + ".hidden_states_norms.stage4."),
        (r"backbone\.0\.layers\.(\d+)\.downsample\.", SWIN + r".encoder.layers.\1.downsample."),
        (SWIN_BLOCK + r"\.norm1\.", SWIN_BLOCK_TO + ".layernorm_before."),
        (SWIN_BLOCK + r"\.norm2\.", SWIN_BLOCK_TO + ".layernorm_after."),
        (SWIN_BLOCK + r"\.attn\.proj\.", SWIN_BLOCK_TO + ".attention.output.dense."),
        (SWIN_BLOCK + r"\.attn\.", SWIN_BLOCK_TO + ".attention.self."),
        (SWIN_BLOCK + r"\.mlp\.fc1\.", SWIN_BLOCK_TO + ".intermediate.dense."),
        (SWIN_BLOCK + r"\.mlp\.fc2\.", SWIN_BLOCK_TO + ".output.dense."),
        (r"bert\.", "model.text_backbone."),
        (r"feat_map\.", "model.text_projection."),
        (r"input_proj\.", "model.input_proj_vision."),
        (TEXT + r"\.linear([12])\.", TEXT_TO + r".fc\2."),
        (TEXT + r"\.norm1\.", TEXT_TO + ".layer_norm_before."),
        (TEXT + r"\.norm2\.", TEXT_TO + ".layer_norm_after."),
        (TEXT + r"\.", TEXT_TO + "."),
        (FUSION + r"\.gamma_v$", FUSION_TO + ".vision_param"),
        (FUSION + r"\.gamma_l$", FUSION_TO + ".text_param"),
        (FUSION + r"\.layer_norm_v\.", FUSION_TO + ".layer_norm_vision."),
        (FUSION + r"\.layer_norm_l\.", FUSION_TO + ".layer_norm_text."),
        (FUSION + r"\.attn\.(values_|out_|)v_proj\.", FUSION_TO + r".attn.\2vision_proj."),
        (FUSION + r"\.attn\.(values_|out_|)l_proj\.", FUSION_TO + r".attn.\2text_proj."),
        (IMAGE + r"\.linear([12])\.", IMAGE_TO + r".fc\2."),
        (IMAGE + r"\.norm1\.", IMAGE_TO + ".self_attn_layer_norm."),
        (IMAGE + r"\.norm2\.", IMAGE_TO + ".final_layer_norm."),
        (IMAGE + r"\.", IMAGE_TO + "."),
        (DECODER + r"\.cross_attn\.", DECODER_TO + ".encoder_attn."),
        (DECODER + r"\.ca_text\.", DECODER_TO + ".encoder_attn_text."),
        (DECODER + r"\.catext_norm\.", DECODER_TO + ".encoder_attn_text_layer_norm."),
        (DECODER + r"\.norm1\.", DECODER_TO + ".encoder_attn_layer_norm."),
        (DECODER + r"\.norm2\.", DECODER_TO + ".self_attn_layer_norm."),
        (DECODER + r"\.norm3\.", DECODER_TO + ".final_layer_norm."),
        (DECODER + r"\.linear([12])\.", DECODER_TO + r".fc\2."),
        (DECODER + r"\.", DECODER_TO + "."),
        (r"transformer\.decoder\.norm\.", "model.decoder.layer_norm."),
        (r"transformer\.decoder\.ref_point_head\.", "model.decoder.reference_points_head."),
        (r"transformer\.decoder\.bbox_embed\.", "model.decoder.bbox_embed."),
        (r"transformer\.enc_out_bbox_embed\.", "model.encoder_output_bbox_embed."),
        (r"transformer\.enc_output", "model.enc_output"),
        (r"transformer\.level_embed$", "model.level_embed"),
        (r"transformer\.tgt_embed\.", "model.query_position_embeddings."),
    )
)
"""Start of a published name, and what replaces it; the first that fits wins. Other names stay."""


def detect(names: Iterable[str]) -> bool:
    """Whether these are the tensors of a Grounding DINO in its published layout."""
    return set(SIGNATURE) <= set(names)


def convert(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors under the names of transformers 4.x; fused projections are split, EXTRAS are left out."""
    converted = {}
    for name, tensor in tensors.items():
        if name in EXTRAS:
            continue
        fused = FUSED.fullmatch(name)
        if fused:
            for part, chunk in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                converted[_renamed(f"{fused[1]}{part}.{fused[2]}")] = chunk
        else:
            converted[_renamed(name)] = tensor
    return converted


def _renamed(name: str) -> str:
    for pattern, replacement in RENAMES:
        start = pattern.match(name)
        if start:
            return start.expand(replacement) + name[start.end() :]
    return name


CANNOT_BE_DETECTED: Final[dict[str, Any]] = {
    "encoder_attention_heads": 8,
    "decoder_attention_heads": 8,
    "decoder_bbox_embed_share": True,
    "max_text_len": 256,
    "positional_embedding_temperature": 20,
}
"""The same in every published model (GroundingDINO_SwinT_OGC.py, GroundingDINO_SwinB_cfg.py); no shape tells them."""

BERT_HEAD_SIZE: Final = 64
"""Cannot be detected: channels per attention head of BERT."""


def config(tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """transformers' `config.json` for these tensors, read from the shapes of their published names."""
    d_model, text_size = tensors["feat_map.weight"].shape
    levels = tensors["transformer.level_embed"].shape[0]
    offsets_per_point = CANNOT_BE_DETECTED["encoder_attention_heads"] * levels * 2
    encoder_offsets = tensors["transformer.encoder.layers.0.self_attn.sampling_offsets.bias"]
    decoder_offsets = tensors["transformer.decoder.layers.0.cross_attn.sampling_offsets.bias"]
    return {
        "model_type": "grounding-dino",
        "backbone_config": _swin_config(tensors),
        "text_config": _bert_config(tensors, text_size),
        "d_model": d_model,
        "num_feature_levels": levels,
        "num_queries": tensors["transformer.tgt_embed.weight"].shape[0],
        "encoder_layers": _count(tensors, "transformer.encoder.layers."),
        "decoder_layers": _count(tensors, "transformer.decoder.layers."),
        "encoder_ffn_dim": tensors["transformer.encoder.layers.0.linear1.weight"].shape[0],
        "decoder_ffn_dim": tensors["transformer.decoder.layers.0.linear1.weight"].shape[0],
        "encoder_n_points": encoder_offsets.shape[0] // offsets_per_point,
        "decoder_n_points": decoder_offsets.shape[0] // offsets_per_point,
        **CANNOT_BE_DETECTED,
    }


def _swin_config(tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    stages = range(_count(tensors, "backbone.0.layers."))
    blocks = [f"backbone.0.layers.{stage}.blocks." for stage in stages]
    tables = [tensors[f"{block}0.attn.relative_position_bias_table"] for block in blocks]
    fc1 = tensors[f"{blocks[0]}0.mlp.fc1.weight"]
    return {
        "model_type": "swin",
        "embed_dim": tensors["backbone.0.patch_embed.proj.weight"].shape[0],
        "patch_size": tensors["backbone.0.patch_embed.proj.weight"].shape[-1],
        "depths": [_count(tensors, block) for block in blocks],
        "num_heads": [table.shape[1] for table in tables],
        # A table of biases has one row per offset between two cells of a window: (2 w - 1) squared.
        "window_size": (int(tables[0].shape[0] ** 0.5) + 1) // 2,
        "mlp_ratio": fc1.shape[0] / fc1.shape[1],
        "out_indices": [2, 3, 4],
    }


def _bert_config(tensors: Mapping[str, torch.Tensor], hidden_size: int) -> dict[str, Any]:
    return {
        "model_type": "bert",
        "hidden_size": hidden_size,
        "num_hidden_layers": _count(tensors, "bert.encoder.layer."),
        "num_attention_heads": hidden_size // BERT_HEAD_SIZE,
        "intermediate_size": tensors["bert.encoder.layer.0.intermediate.dense.weight"].shape[0],
        "vocab_size": tensors["bert.embeddings.word_embeddings.weight"].shape[0],
        "max_position_embeddings": tensors["bert.embeddings.position_embeddings.weight"].shape[0],
        "type_vocab_size": tensors["bert.embeddings.token_type_embeddings.weight"].shape[0],
    }


def _count(tensors: Iterable[str], prefix: str) -> int:
    return len({name[len(prefix) :].partition(".")[0] for name in tensors if name.startswith(prefix)})
