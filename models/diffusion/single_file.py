"""Single files of Stable Diffusion: the layouts of the original code (CompVis, RunwayML, Stability) to that of
diffusers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import torch

from ..errors import BadCheckpoint
from ..files.groups import MARKS, SCALE
from ..weights import check_fit, count_layers, under
from . import open_clip
from .networks import Networks
from .original_layout import V1, V2, VERSIONS, XL, Sizes, Version, weights

UNET: Final = "model.diffusion_model."
VAE: Final = "first_stage_model."
TEXT_ENCODER: Final = V1.clip
BEFORE: Final = f"{TEXT_ENCODER}attn_layers."
"""Of CompVis's text-to-image model before Stable Diffusion, which has another text encoder in its place."""
AVERAGED: Final = "model_ema."
SCALE_FACTOR: Final = SCALE
"""What latents are multiplied with, where a training has measured it."""
FIRST_LAYER: Final = f"{UNET}input_blocks.0.0.weight"
LABELS: Final = f"{UNET}label_emb.0.0.weight"
"""Of XL: what is told of sizes and by the pooled embedding."""

CONFIGURATIONS: Final = {
    V1: Path(__file__).parent / "stable_diffusion_v1",
    V2: Path(__file__).parent / "stable_diffusion_v2",
    XL: Path(__file__).parent / "stable_diffusion_xl",
}
"""What differs from version 1 stands in the folders of the others."""
TOKENIZER: Final = CONFIGURATIONS[V1] / "tokenizer"
"""Of all versions, but for what they are filled up with."""

# Buffers of the training code, all computable, marks, and weights of the text encoders that no picture depends on.
EXTRAS: Final = re.compile(
    r"(alphas_cumprod(_prev)?|betas|logvar|log_one_minus_alphas_cumprod"
    r"|sqrt_(one_minus_)?alphas_cumprod|sqrt_recip(m1)?_alphas_cumprod"
    r"|posterior_(variance|log_variance_clipped|mean_coef[12])"
    rf"|denoiser\.(log_)?sigmas|{SCALE_FACTOR}|{'|'.join(MARKS)}"
    r"|model_ema\.(decay|num_updates)"
    r"|(cond_stage_model|conditioner\.embedders\.[01])\.(logit_scale|text_projection)"
    r"|(cond_stage_model|conditioner\.embedders\.0)\.transformer\.text_projection(\.weight)?"
    r"|(cond_stage_model|conditioner\.embedders\.0)\.transformer\.text_model\.embeddings\.position_ids"
    r"|cond_stage_model\.model\.text_projection"
    r"|(cond_stage_model|conditioner\.embedders\.1)\.model\.(logit_scale|attn_mask))"
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
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}
VAE_PARTS: Final = (
    ("norm_out.", "conv_norm_out."),
    ("nin_shortcut.", "conv_shortcut."),
    ("down.#.block.", "down_blocks.#.resnets."),
    ("down.#.downsample.", "down_blocks.#.downsamplers.0."),
    ("up.#.upsample.", "up_blocks.#.upsamplers.0."),
    ("up.#.block.", "up_blocks.#.resnets."),
    ("mid.block_1.", "mid_block.resnets.0."),
    ("mid.block_2.", "mid_block.resnets.1."),
    *(
        (f"{place}.{before}.", f"{blocks}.{after}.")
        for place, blocks in (
            ("mid.attn_1", "mid_block.attentions.0"),
            ("down.#.attn.#", "down_blocks.#.attentions.#"),
            ("up.#.attn.#", "up_blocks.#.attentions.#"),
        )
        for before, after in (("norm", "group_norm"), ("q", "to_q"), ("k", "to_k"), ("v", "to_v"))
    ),
    ("mid.attn_1.proj_out.", "mid_block.attentions.0.to_out.0."),
    ("down.#.attn.#.proj_out.", "down_blocks.#.attentions.#.to_out.0."),
    ("up.#.attn.#.proj_out.", "up_blocks.#.attentions.#.to_out.0."),
)
"""The original's names of a VAE's layers and those of diffusers, with # for a number."""
LATENT_CHANNELS: Final = 4
LEVELS: Final = 4
"""Of every VAE, and of the U-Nets of all but XL, which have three."""
GROUPS: Final = 32
"""Of every norm, so that it divides all widths."""
HEAD: Final = 64
"""Width of an attention head in all text encoders, and in the U-Nets of all but version 1."""
SIZES_TOLD: Final = 6
"""Numbers that XL is told: height and width of the original, corner of the crop, height and width asked for."""
BLOCKS_PER_LEVEL: Final = 3
"""Two residual blocks and a change of resolution on the way down; three residual blocks on the way up."""


def detect(tensors: Mapping[str, torch.Tensor], version: Version = V1) -> bool:
    """Whether these are U-Net, VAE and text encoders of this version of Stable Diffusion in the original layout."""
    if any(name.startswith(BEFORE) for name in tensors):
        return False
    parts = [part for part in (UNET, VAE, version.clip, version.open_clip) if part]
    return FIRST_LAYER in tensors and all(any(name.startswith(part) for name in tensors) for part in parts)


def version_of(tensors: Mapping[str, torch.Tensor]) -> Version:
    """The version that `detect` finds; 1.x where it finds none."""
    return next((version for version in reversed(VERSIONS) if detect(tensors, version)), V1)


def convert(tensors: Mapping[str, torch.Tensor], source: str) -> tuple[dict[str, dict[str, Any]], Networks]:
    """Configurations of the parts (unet, vae, text_encoder, scheduler; of XL text_encoder_2), and state dicts under
    diffusers' names; that of XL's second text encoder is found by `second_encoder`.

    tensors: that `detect` accepts. source: as messages begin. Sizes are read from the weights. What the sampler should
    be, how large pictures are, how many heads attend and that the network predicts noise cannot be detected: they are
    those of the published models (see also `prediction`). Averaged weights are taken where the file has both.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape, under the file's own names; or sizes that
            cannot be.
        KeyError: a tensor that tells a size is missing.
    """
    own = own_tensors(tensors)
    sizes = read_sizes(own, source)
    check_fit({name: torch.Size(shape) for name, shape in weights(sizes).items()}, own, source)
    return configurations(sizes), _split(own)


def second_encoder(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state dict of XL's second text encoder, of tensors that `convert` accepts."""
    own = under(own_tensors(tensors), XL.open_clip)
    return open_clip.converted(own, _open_clip_layers(own))


def configurations(sizes: Sizes) -> dict[str, dict[str, Any]]:
    """Of the parts of a model of these sizes."""
    version = sizes.version
    parts = {part: _configuration(part, version) for part in (*Networks._fields, "scheduler")}
    attending = [bool(depth) for depth in sizes.depths]
    parts["unet"] |= {
        "in_channels": sizes.channels,
        "block_out_channels": sizes.widths,
        "cross_attention_dim": sizes.hidden + sizes.second_hidden,
        "down_block_types": [("CrossAttnDownBlock2D" if each else "DownBlock2D") for each in attending],
        "up_block_types": [("CrossAttnUpBlock2D" if each else "UpBlock2D") for each in reversed(attending)],
        # diffusers takes the number of the last level for the middle too.
        "transformer_layers_per_block": [*(max(depth, 1) for depth in sizes.depths[:-1]), sizes.middle],
    }
    if version.linear:
        parts["unet"] |= {
            "use_linear_projection": True,
            "attention_head_dim": [width // HEAD for width in sizes.widths],
        }
    parts["vae"] |= {"block_out_channels": sizes.vae_widths}
    # No picture depends on the last layer of a version 2 text encoder.
    layers = sizes.layers - 1 if version is V2 else sizes.layers
    parts["text_encoder"] |= _text_sizes(sizes.hidden, layers)
    if version is XL:
        second = _configuration("text_encoder_2", XL)
        parts["text_encoder_2"] = second | _text_sizes(sizes.second_hidden, sizes.second_layers)
        parts["text_encoder_2"] |= {"projection_dim": sizes.projection}
        parts["unet"] |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": (sizes.added - sizes.projection) // SIZES_TOLD,
            "projection_class_embeddings_input_dim": sizes.added,
            "sample_size": 128,
        }
        parts["vae"] |= {"scaling_factor": 0.13025, "force_upcast": True, "sample_size": 1024}
    return parts


def _text_sizes(hidden: int, layers: int) -> dict[str, int]:
    return {
        "hidden_size": hidden,
        "intermediate_size": 4 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden // HEAD,
    }


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

    def depth(place: str) -> int:
        return count_layers(tensors, f"{UNET}{place}.1.transformer_blocks.{{}}.norm1.weight")

    version = version_of(tensors)
    levels = 3 if version is XL else LEVELS
    blocks = range(1, 1 + levels * BLOCKS_PER_LEVEL, BLOCKS_PER_LEVEL)
    grouped = HEAD if version.linear else GROUPS
    vae_widths = [size(f"{VAE}encoder.down.{level}.block.0.conv2.weight", 0, GROUPS) for level in range(LEVELS)]
    clip, text = f"{version.clip}text_model.", under(tensors, version.open_clip) if version.open_clip else {}
    if version is V2:
        hidden, layers = size(f"{V2.open_clip}positional_embedding", 1, HEAD), _open_clip_layers(text)
    else:
        hidden = size(f"{clip}embeddings.position_embedding.weight", 1, HEAD)
        layers = count_layers(tensors, f"{clip}encoder.layers.{{}}.layer_norm1.weight")
    sizes = Sizes(
        channels=size(FIRST_LAYER, 1),
        widths=tuple(size(f"{UNET}input_blocks.{block}.0.out_layers.3.weight", 0, grouped) for block in blocks),
        vae_widths=(vae_widths[0], vae_widths[1], vae_widths[2], vae_widths[3]),
        hidden=hidden,
        layers=layers,
        version=version,
    )
    if version is not XL:
        return sizes
    projection = size(f"{XL.open_clip}{open_clip.PROJECTION}", 1)
    added = size(LABELS, 1)
    if added <= projection or (added - projection) % (2 * SIZES_TOLD):
        raise BadCheckpoint(
            f"{source}: {LABELS} takes {added} numbers, which are no pooled embedding of {projection} and "
            f"{SIZES_TOLD} sizes; choose another file."
        )
    return sizes._replace(
        depths=tuple(depth(f"input_blocks.{block}") for block in blocks),
        middle=depth("middle_block"),
        second_hidden=size(f"{XL.open_clip}positional_embedding", 1, HEAD),
        second_layers=_open_clip_layers(text),
        projection=projection,
        added=added,
    )


def _open_clip_layers(tensors: Mapping[str, torch.Tensor]) -> int:
    return count_layers(tensors, "transformer.resblocks.{}.ln_1.weight")


def own_tensors(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What the networks are made of, averaged where the file has both, without what is known to be of no use."""
    averaged = _averaged_names(tensors)
    left_out = {*averaged.values(), *filter(EXTRAS.fullmatch, tensors)}
    return {name: _as_convolution(name, tensors[averaged.get(name, name)]) for name in tensors if name not in left_out}


def _as_convolution(name: str, value: torch.Tensor) -> torch.Tensor:
    """The VAE's attention has 1 x 1 convolutions in most files, linear layers in some."""
    linear = name.startswith(VAE) and ".mid.attn_1." in name and value.ndim == 2
    return value[..., None, None] if linear else value


def _split(tensors: Mapping[str, torch.Tensor]) -> Networks:
    """The state dicts of the parts, under diffusers' names; of XL without the second text encoder."""
    vae = under(tensors, VAE).items()
    version = version_of(tensors)
    if version is V2:
        own = under(tensors, V2.open_clip)
        text = open_clip.converted(own, _open_clip_layers(own) - 1)
    else:
        text = under(tensors, version.clip)
    return Networks(
        unet={unet_name(name): value for name, value in under(tensors, UNET).items()},
        vae={vae_name(name): flat_attention(name, value) for name, value in vae},
        text_encoder=text,
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


def original_unet_name(path: str, layers_per_block: int, attends: bool) -> str:
    """The original name of a layer of the U-Net, the reverse of `unet_name` without the tensor's; names that are not
    the U-Net's come back as they are. layers_per_block: residual blocks of a level on the way down. attends: whether
    the layer's level does."""
    ends = {after: before for before, after in UNET_ENDS.items()}
    if path in ends:
        return ends[path]
    inner = {after: before for before, after in RESNET.items()}
    middle = re.fullmatch(r"mid_block\.(resnets|attentions)\.(\d)\.(.+)", path)
    if middle is not None:
        place = 1 if middle[1] == "attentions" else 2 * int(middle[2])
        return f"middle_block.{place}.{inner.get(middle[3], middle[3]) if place != 1 else middle[3]}"
    match = re.fullmatch(r"(down|up)_blocks\.(\d)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)\.(.+)", path)
    if match is None:
        return path
    way, level, kind, index, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
    first = level * (layers_per_block + 1) + (1 if way == "down" else 0)
    side = "input_blocks" if way == "down" else "output_blocks"
    if kind == "downsamplers":
        return f"{side}.{first + layers_per_block}.0.op"
    if kind == "upsamplers":
        return f"{side}.{first + layers_per_block}.{2 if attends else 1}.conv"
    place = 0 if kind == "resnets" else 1
    return f"{side}.{first + index}.{place}.{inner.get(rest, rest) if place == 0 else rest}"


def vae_name(name: str, levels: int = LEVELS) -> str:
    """diffusers' name of a tensor of the VAE; its decoder counts levels from the latents on, the original from the
    pixels."""
    for before, after in VAE_PARTS:
        name = _replaced(name, before, after)
    return re.sub(r"up_blocks\.(\d+)", lambda match: f"up_blocks.{levels - 1 - int(match[1])}", name)


def original_vae_name(name: str, levels: int = LEVELS) -> str:
    """The reverse of `vae_name`."""
    for before, after in VAE_PARTS:
        name = _replaced(name, after, before)
    return re.sub(r"\.up\.(\d+)", lambda match: f".up.{levels - 1 - int(match[1])}", name)


def _replaced(name: str, before: str, after: str) -> str:
    """Inner parts of a name, with # for a number."""
    pattern = re.escape(before).replace(r"\#", r"(\d+)")
    numbers = iter(range(1, 1 + after.count("#")))
    return re.sub(rf"(?<=\.){pattern}", re.sub("#", lambda _: rf"\{next(numbers)}", after), name)


def flat_attention(name: str, value: torch.Tensor) -> torch.Tensor:
    """The VAE's attention has 1 x 1 convolutions in the file, linear layers in diffusers."""
    projection = re.search(r"\.attn(_1|\.\d+)\.", name) is not None and value.ndim == 4
    return value.flatten(1) if projection else value


def _configuration(part: str, version: Version) -> dict[str, Any]:
    own = CONFIGURATIONS[version] / f"{part}.json"
    file = own if own.is_file() else CONFIGURATIONS[V1] / f"{part}.json"
    return json.loads(file.read_text(encoding="utf-8"))
