"""Single files of Stable Diffusion 1.x: the layout of the original code (CompVis, RunwayML) to that of diffusers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import torch

from ..errors import BadCheckpoint
from ..weights import check_fit, count_layers, under
from .networks import Networks
from .original_layout import Sizes, weights

UNET: Final = "model.diffusion_model."
VAE: Final = "first_stage_model."
TEXT_ENCODER: Final = "cond_stage_model.transformer."
TEXT_MODEL: Final = f"{TEXT_ENCODER}text_model."
AVERAGED: Final = "model_ema."
FIRST_LAYER: Final = f"{UNET}input_blocks.0.0.weight"

CONFIGURATIONS: Final = Path(__file__).parent / "stable_diffusion_v1"
TOKENIZER: Final = CONFIGURATIONS / "tokenizer"

# Buffers of the training code, all computable, and weights of the text encoder that no picture depends on.
EXTRAS: Final = re.compile(
    r"(alphas_cumprod(_prev)?|betas|logvar|log_one_minus_alphas_cumprod"
    r"|sqrt_(one_minus_)?alphas_cumprod|sqrt_recip(m1)?_alphas_cumprod"
    r"|posterior_(variance|log_variance_clipped|mean_coef[12])"
    r"|model_ema\.(decay|num_updates)"
    r"|cond_stage_model\.(logit_scale|text_projection)|cond_stage_model\.transformer\.text_projection(\.weight)?"
    r"|cond_stage_model\.transformer\.text_model\.embeddings\.position_ids)"
)

RESNET: Final = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
UNET_ENDS: Final = {
    "input_blocks.0.0": "conv_in",
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}
VAE_PARTS: Final = (
    (r"norm_out", "conv_norm_out"),
    (r"nin_shortcut", "conv_shortcut"),
    (r"down\.(\d)\.block\.", r"down_blocks.\1.resnets."),
    (r"down\.(\d)\.downsample\.", r"down_blocks.\1.downsamplers.0."),
    (r"up\.(\d)\.upsample\.", r"up_blocks.\1.upsamplers.0."),
    (r"up\.(\d)\.block\.", r"up_blocks.\1.resnets."),
    (r"mid\.block_1\.", "mid_block.resnets.0."),
    (r"mid\.block_2\.", "mid_block.resnets.1."),
    (r"mid\.attn_1\.norm\.", "mid_block.attentions.0.group_norm."),
    (r"mid\.attn_1\.([qkv])\.", r"mid_block.attentions.0.to_\1."),
    (r"mid\.attn_1\.proj_out\.", "mid_block.attentions.0.to_out.0."),
)
LEVELS: Final = 4
GROUPS: Final = 32
"""Of every norm, so that it divides all widths."""
HEAD: Final = 64
"""Width of an attention head in CLIP's text encoders."""
BLOCKS_PER_LEVEL: Final = 3
"""Two residual blocks and a change of resolution on the way down; three residual blocks on the way up."""


def detect(tensors: Mapping[str, torch.Tensor]) -> bool:
    """Whether these are U-Net, VAE and text encoder of Stable Diffusion 1.x in the original layout."""
    parts_there = all(any(name.startswith(prefix) for name in tensors) for prefix in (UNET, VAE, TEXT_ENCODER))
    return FIRST_LAYER in tensors and parts_there


def convert(tensors: Mapping[str, torch.Tensor], source: str) -> tuple[dict[str, dict[str, Any]], Networks]:
    """Configurations of the parts (unet, vae, text_encoder, scheduler), and state dicts under diffusers' names.

    tensors: that `detect` accepts. source: as messages begin. Sizes are read from the weights. What the sampler should
    be, how large pictures are, how many heads attend and that the network predicts noise cannot be detected: they are
    those of Stable Diffusion 1.x. Averaged weights are taken where the file has both.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape, under the file's own names; or sizes that
            cannot be.
        KeyError: a tensor that tells a size is missing.
    """
    own = _own(tensors)
    sizes = read_sizes(own, source)
    check_fit({name: torch.Size(shape) for name, shape in weights(sizes).items()}, own, source)
    return configurations(sizes), _split(own)


def configurations(sizes: Sizes) -> dict[str, dict[str, Any]]:
    """Of the parts of a model of these sizes."""
    parts = {part: _configuration(part) for part in (*Networks._fields, "scheduler")}
    parts["unet"] |= {
        "in_channels": sizes.channels,
        "block_out_channels": sizes.widths,
        "cross_attention_dim": sizes.hidden,
    }
    parts["vae"] |= {"block_out_channels": sizes.vae_widths}
    parts["text_encoder"] |= {
        "hidden_size": sizes.hidden,
        "intermediate_size": 4 * sizes.hidden,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.hidden // HEAD,
    }
    return parts


def read_sizes(tensors: Mapping[str, torch.Tensor], source: str) -> Sizes:
    """The sizes of the networks, from the shapes of their tensors.

    Raises:
        BadCheckpoint: a tensor that tells one is missing, or its shape cannot be that of such a network.
    """

    def size(name: str, axis: int, multiple: int = 1) -> int:
        shape = tuple(tensors[name].shape)
        if axis >= len(shape) or not shape[axis] or shape[axis] % multiple:
            raise BadCheckpoint(f"{source}: {name} is of shape {shape}; download the file again, or choose another.")
        return shape[axis]

    blocks = range(1, 1 + LEVELS * BLOCKS_PER_LEVEL, BLOCKS_PER_LEVEL)
    widths = [size(f"{UNET}input_blocks.{block}.0.out_layers.3.weight", 0, GROUPS) for block in blocks]
    vae_widths = [size(f"{VAE}encoder.down.{level}.block.0.conv2.weight", 0, GROUPS) for level in range(LEVELS)]
    return Sizes(
        channels=size(FIRST_LAYER, 1),
        widths=(widths[0], widths[1], widths[2], widths[3]),
        vae_widths=(vae_widths[0], vae_widths[1], vae_widths[2], vae_widths[3]),
        hidden=size(f"{TEXT_MODEL}embeddings.position_embedding.weight", 1, HEAD),
        layers=count_layers(tensors, f"{TEXT_MODEL}encoder.layers.{{}}.layer_norm1.weight"),
    )


def _own(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What the networks are made of, averaged where the file has both, without what is known to be of no use."""
    averaged = _averaged_names(tensors)
    left_out = {*averaged.values(), *filter(EXTRAS.fullmatch, tensors)}
    return {name: _as_convolution(name, tensors[averaged.get(name, name)]) for name in tensors if name not in left_out}


def _as_convolution(name: str, value: torch.Tensor) -> torch.Tensor:
    """The VAE's attention has 1 x 1 convolutions in most files, linear layers in some."""
    linear = name.startswith(VAE) and ".mid.attn_1." in name and value.ndim == 2
    return value[..., None, None] if linear else value


def _split(tensors: Mapping[str, torch.Tensor]) -> Networks:
    """The state dicts of the parts, under diffusers' names."""
    vae = under(tensors, VAE).items()
    return Networks(
        unet={unet_name(name): value for name, value in under(tensors, UNET).items()},
        vae={vae_name(name): flat_attention(name, value) for name, value in vae},
        text_encoder=under(tensors, TEXT_ENCODER),
    )


def _averaged_names(names: Iterable[str]) -> dict[str, str]:
    """The U-Net's tensors and those of its moving average, whose names the training code wrote without dots."""
    names = set(names)
    pairs = {name: AVERAGED + name.removeprefix("model.").replace(".", "") for name in names if name.startswith(UNET)}
    return pairs if names.issuperset(pairs.values()) else {}


def unet_name(name: str) -> str:
    """diffusers' name of a tensor of the U-Net; names that are not the U-Net's come back as they are."""
    layer, _, kind = name.rpartition(".")
    if layer in UNET_ENDS:
        return f"{UNET_ENDS[layer]}.{kind}"
    match = re.fullmatch(r"(input|output)_blocks\.(\d+)\.(\d)\.(.+)", name)
    if match is None:
        return _middle_name(name)
    way, block, place, rest = match[1], int(match[2]), match[3], match[4]
    level, index = divmod(block - (way == "input"), BLOCKS_PER_LEVEL)
    side = "down" if way == "input" else "up"
    if rest.startswith("op."):
        return f"down_blocks.{level}.downsamplers.0.conv.{kind}"
    if rest.startswith("conv."):
        return f"up_blocks.{level}.upsamplers.0.conv.{kind}"
    if place == "0":
        return f"{side}_blocks.{level}.resnets.{index}.{_resnet_name(rest)}"
    return f"{side}_blocks.{level}.attentions.{index}.{rest}"


def _middle_name(name: str) -> str:
    match = re.fullmatch(r"middle_block\.([012])\.(.+)", name)
    if match is None:
        return name
    if match[1] == "1":
        return f"mid_block.attentions.0.{match[2]}"
    return f"mid_block.resnets.{int(match[1]) // 2}.{_resnet_name(match[2])}"


def _resnet_name(name: str) -> str:
    layer, _, kind = name.rpartition(".")
    return f"{RESNET.get(layer, layer)}.{kind}"


def vae_name(name: str, levels: int = LEVELS) -> str:
    """diffusers' name of a tensor of the VAE; its decoder counts levels from the latents on, the original from the
    pixels."""
    for pattern, replacement in VAE_PARTS:
        name = re.sub(rf"(?<=\.){pattern}", replacement, name)
    return re.sub(r"up_blocks\.(\d)", lambda match: f"up_blocks.{levels - 1 - int(match[1])}", name)


def flat_attention(name: str, value: torch.Tensor) -> torch.Tensor:
    """The VAE's attention has 1 x 1 convolutions in the file, linear layers in diffusers."""
    projection = ".mid.attn_1." in name and value.ndim == 4
    return value.flatten(1) if projection else value


def _configuration(part: str) -> dict[str, Any]:
    return json.loads((CONFIGURATIONS / f"{part}.json").read_text(encoding="utf-8"))
