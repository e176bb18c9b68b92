"""OpenCLIP's text encoders (Stable Diffusion 2.x and XL): names and shapes in single files, and their own in
transformers, which keeps queries, keys and values apart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import torch

VOCABULARY: Final = 49408
POSITIONS: Final = 77
PROJECTION: Final = "text_projection"

ENDS: Final = {
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_final.weight": "final_layer_norm.weight",
    "ln_final.bias": "final_layer_norm.bias",
}
LAYERS: Final = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_LAYER: Final = re.compile(r"transformer\.resblocks\.(\d+)\.(.+)")


def weights(hidden: int, layers: int, projection: int = 0) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all that the states, and with a projection the pooled embedding, depend on."""
    named: dict[str, tuple[int, ...]] = {
        "token_embedding.weight": (VOCABULARY, hidden),
        "positional_embedding": (POSITIONS, hidden),
        "ln_final.weight": (hidden,),
        "ln_final.bias": (hidden,),
    }
    for index in range(layers):
        layer = f"transformer.resblocks.{index}"
        for norm in ("ln_1", "ln_2"):
            named |= {f"{layer}.{norm}.weight": (hidden,), f"{layer}.{norm}.bias": (hidden,)}
        named |= {f"{layer}.attn.in_proj_weight": (3 * hidden, hidden), f"{layer}.attn.in_proj_bias": (3 * hidden,)}
        for name, out, given in (
            ("attn.out_proj", hidden, hidden),
            ("mlp.c_fc", 4 * hidden, hidden),
            ("mlp.c_proj", hidden, 4 * hidden),
        ):
            named |= {f"{layer}.{name}.weight": (out, given), f"{layer}.{name}.bias": (out,)}
    return named | ({PROJECTION: (hidden, projection)} if projection else {})


def converted(tensors: Mapping[str, torch.Tensor], layers: int) -> dict[str, torch.Tensor]:
    """The state dict of a CLIPTextModel of so many layers, the first ones, from all that `weights` names."""
    found: dict[str, torch.Tensor] = {}
    for name, value in tensors.items():
        if name == PROJECTION:
            # The original multiplies from the left.
            found["text_projection.weight"] = value.T
        elif name in ENDS:
            found[f"text_model.{ENDS[name]}"] = value
        elif (match := _LAYER.fullmatch(name)) is not None and int(match[1]) < layers:
            found |= _layer(f"text_model.encoder.layers.{match[1]}", match[2], value)
    return found


def _layer(layer: str, name: str, value: torch.Tensor) -> dict[str, torch.Tensor]:
    if name.startswith("attn.in_proj_"):
        kind = name.removeprefix("attn.in_proj_")
        parts = zip("qkv", value.chunk(3), strict=True)
        return {f"{layer}.self_attn.{part}_proj.{kind}": rows for part, rows in parts}
    inner, _, kind = name.rpartition(".")
    return {f"{layer}.{LAYERS[inner]}.{kind}": value}
