"""Networks from their configurations, without weights at first, and strictly filled with a file's."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import torch
from torch import nn

from ..files.folders import CONFIG, understood
from ..weights import empty_weights, fill

TEXT_PREFIX: Final = "text_model."
TEXT_PROJECTION: Final = "text_projection.weight"
POSITION_IDS: Final = "embeddings.position_ids"

# AutoencoderKL's attention before diffusers 0.14; most Stable Diffusion 1.x folders still carry these names.
OLD_ATTENTION: Final = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


class Networks(NamedTuple):
    """The three networks that every Stable Diffusion model has."""

    unet: Any
    vae: Any
    text_encoder: Any


def build(
    unet: Mapping[str, Any], vae: Mapping[str, Any], text_encoder: Mapping[str, Any], source: str = "model"
) -> Networks:
    """The networks of these configurations (`config.json` of diffusers and transformers) on the meta device.

    The VAE's class stands under `_class_name`: AutoencoderKL, the default, or AutoencoderTiny. source: the folder, as
    messages begin.

    Raises:
        BadCheckpoint: a library makes nothing of a configuration.
    """
    import diffusers
    from transformers import CLIPTextConfig, CLIPTextModel

    vae_class = getattr(diffusers, vae.get("_class_name", "AutoencoderKL"))
    with empty_weights():
        with understood(f"{source}: unet/{CONFIG}"):
            made_unet = diffusers.UNet2DConditionModel(**accepted(diffusers.UNet2DConditionModel, unet))
        with understood(f"{source}: vae/{CONFIG}"):
            made_vae = vae_class(**accepted(vae_class, vae))
        with understood(f"{source}: text_encoder/{CONFIG}"):
            made_encoder = CLIPTextModel(CLIPTextConfig.from_dict(dict(text_encoder)))
    return Networks(made_unet, made_vae, made_encoder)


def build_second(config: Mapping[str, Any], source: str = "model") -> Any:
    """Stable Diffusion XL's second text encoder, with its projection, of this configuration on the meta device.

    Raises:
        BadCheckpoint: the library makes nothing of it.
    """
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    with empty_weights(), understood(f"{source}: text_encoder_2/{CONFIG}"):
        return CLIPTextModelWithProjection(CLIPTextConfig.from_dict(dict(config)))


def accepted(made: type, config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that this class of diffusers takes: files also carry its name, its version, and older settings."""
    names = inspect.signature(made.__init__).parameters
    return {name: value for name, value in config.items() if name in names}


def fill_all(networks: Networks, tensors: Networks, dtype: torch.dtype, source: str) -> None:
    """Fill each network with its state dict, under the names of today's or of older libraries, in one dtype.

    Raises:
        BadCheckpoint: a tensor is missing, left over or of another shape.
    """
    fill(networks.unet, tensors.unet, f"{source}, U-Net", dtype)
    fill(networks.vae, todays_attention(tensors.vae), f"{source}, VAE", dtype)
    fill_text_encoder(networks.text_encoder, tensors.text_encoder, f"{source}, text encoder", dtype)


def fill_text_encoder(network: Any, tensors: Mapping[str, torch.Tensor], what: str, dtype: torch.dtype) -> None:
    """`fill` a text encoder of CLIP, made on the meta device, under the names of transformers 4 or 5."""
    fill(network, _text_names(network, tensors), what, dtype)
    embeddings = getattr(network, "text_model", network).embeddings
    embeddings.position_ids = torch.arange(network.config.max_position_embeddings)[None]


def todays_attention(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same under today's names of the attention layers of diffusers' autoencoders and unconditional U-Nets."""
    return {_renamed_attention(name): value for name, value in tensors.items()}


def _renamed_attention(name: str) -> str:
    head, _, tail = name.rpartition(".")
    parent, _, layer = head.rpartition(".")
    return f"{parent}.{OLD_ATTENTION[layer]}.{tail}" if layer in OLD_ATTENTION else name


def _text_names(network: nn.Module, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """transformers 4 puts everything under `text_model`, 5 nothing; older files also hold the position numbers."""
    prefix = TEXT_PREFIX if hasattr(network, "text_model") else ""
    bare = {name.removeprefix(TEXT_PREFIX): value for name, value in tensors.items()}
    return {
        name if name == TEXT_PROJECTION else prefix + name: value
        for name, value in bare.items()
        if name != POSITION_IDS
    }
