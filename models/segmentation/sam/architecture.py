"""The SAM network as its weights describe it: hyper-parameters from tensor shapes, then empty modules to load into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch import nn

from ...weights import count_layers, empty_weights
from ..two_way import TwoWayTransformer
from .mask_decoder import MaskDecoder
from .tiny_vit import STRIDE, TinyVit
from .vit import VisionTransformer

if TYPE_CHECKING:
    from segment_anything.modeling import PromptEncoder

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """Hyper-parameters of what answers prompts, named as in package segment_anything.

    image_size: pixels of the encoder's square input; grid * patch_size.
    """

    image_size: int
    patch_size: int
    prompt_dim: int
    mask_in_chans: int
    decoder_depth: int
    decoder_mlp_dim: int
    decoder_num_heads: int
    decoder_downsample: int
    num_multimasks: int
    iou_head_depth: int
    iou_head_dim: int

    @property
    def grid(self) -> int:
        """Side of the embedding in cells."""
        return self.image_size // self.patch_size


@dataclass(frozen=True, kw_only=True)
class SamConfig(DecoderConfig):
    """Hyper-parameters of a SAM network, named as in package segment_anything.

    global_blocks: indices of the encoder blocks that attend to the whole image; the others attend within windows of
        window_size x window_size patches.
    """

    embed_dim: int
    depth: int
    num_heads: int
    mlp_ratio: float
    global_blocks: tuple[int, ...]
    window_size: int


@dataclass(frozen=True, kw_only=True)
class TinyVitConfig(DecoderConfig):
    """Hyper-parameters of a SAM network whose image encoder is a `TinyVit`; the first ones are that class's."""

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    windows: tuple[int, ...]
    hidden: tuple[int, ...]
    hidden_first: int


def read_config(tensors: Mapping[str, torch.Tensor], told: Mapping[str, Any]) -> SamConfig:
    """Hyper-parameters of the network that these tensors belong to; only their shapes are read. told: what shapes
    cannot tell, where that is known.

    Raises:
        KeyError: a tensor that every SAM network has is missing.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    embed_dim, _, patch_size, _ = shapes["image_encoder.patch_embed.proj.weight"]
    grid = shapes["image_encoder.pos_embed"][1]
    depth = count_layers(shapes, "image_encoder.blocks.{}.norm1.weight")
    # 2 * size - 1 relative positions for attention over size x size patches.
    positions = [shapes[f"image_encoder.blocks.{i}.attn.rel_pos_h"] for i in range(depth)]
    spans = [(length + 1) // 2 for length, _ in positions]
    return SamConfig(
        image_size=grid * patch_size,
        patch_size=patch_size,
        embed_dim=embed_dim,
        depth=depth,
        num_heads=embed_dim // positions[0][1],
        mlp_ratio=shapes["image_encoder.blocks.0.mlp.lin1.weight"][0] / embed_dim,
        global_blocks=tuple(i for i, span in enumerate(spans) if span == grid),
        window_size=min(spans),
        **_decoder(shapes, told),
    )


def read_tiny_vit_config(tensors: Mapping[str, torch.Tensor], told: Mapping[str, Any]) -> TinyVitConfig:
    """The same of a network with a TinyViT.

    Raises:
        KeyError: a tensor that every such network has is missing.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    layers = "image_encoder.layers"
    depths = (
        count_layers(shapes, layers + ".0.blocks.{}.conv1.c.weight"),
        *(count_layers(shapes, f"{layers}.{stage}.blocks.{{}}.attn.norm.weight") for stage in (1, 2, 3)),
    )
    biases = [shapes[f"{layers}.{stage}.blocks.0.attn.attention_biases"] for stage in (1, 2, 3)]
    return TinyVitConfig(
        # Cannot be detected; the same in all published files.
        image_size=told.get("image_size", 1024),
        patch_size=STRIDE,
        widths=(
            shapes["image_encoder.patch_embed.seq.2.c.weight"][0],
            *(shapes[f"{layers}.{stage}.blocks.0.attn.norm.weight"][0] for stage in (1, 2, 3)),
        ),
        depths=depths,
        heads=tuple(heads for heads, _ in biases),
        windows=tuple(round(places**0.5) for _, places in biases),
        hidden=tuple(shapes[f"{layers}.{stage}.blocks.0.mlp.fc1.weight"][0] for stage in (1, 2, 3)),
        hidden_first=shapes[f"{layers}.0.blocks.0.conv1.c.weight"][0],
        **_decoder(shapes, told),
    )


def _decoder(shapes: Shapes, told: Mapping[str, Any]) -> dict[str, int]:
    """Entries of a `DecoderConfig`."""
    width = shapes["mask_decoder.iou_token.weight"][1]
    first_layer = "mask_decoder.transformer.layers.0"
    return {
        "prompt_dim": width,
        "mask_in_chans": shapes["prompt_encoder.mask_downscaling.3.weight"][0],
        "decoder_depth": count_layers(shapes, "mask_decoder.transformer.layers.{}.norm1.weight"),
        "decoder_mlp_dim": shapes[f"{first_layer}.mlp.lin1.weight"][0],
        # Cannot be detected; 8 in all published files.
        "decoder_num_heads": told.get("decoder_num_heads", 8),
        "decoder_downsample": width // shapes[f"{first_layer}.cross_attn_token_to_image.q_proj.weight"][0],
        "num_multimasks": shapes["mask_decoder.mask_tokens.weight"][0] - 1,
        "iou_head_depth": count_layers(shapes, "mask_decoder.iou_prediction_head.layers.{}.weight"),
        "iou_head_dim": shapes["mask_decoder.iou_prediction_head.layers.0.weight"][0],
    }


class Parts(NamedTuple):
    """The network."""

    image_encoder: VisionTransformer | TinyVit
    prompt_encoder: PromptEncoder
    mask_decoder: MaskDecoder


def build(config: SamConfig | TinyVitConfig) -> nn.ModuleDict:
    """The network on the meta device, without storage, its parts named as in `Parts`."""
    with empty_weights():
        return nn.ModuleDict(
            {
                "image_encoder": image_encoder(config),
                "prompt_encoder": prompt_encoder(config),
                "mask_decoder": MaskDecoder(
                    two_way_transformer(config), config.num_multimasks, config.iou_head_depth, config.iou_head_dim
                ),
            }
        )


def image_encoder(config: DecoderConfig) -> VisionTransformer | TinyVit:
    if isinstance(config, TinyVitConfig):
        return TinyVit(
            config.widths,
            config.depths,
            config.heads,
            config.windows,
            config.hidden,
            config.hidden_first,
            config.prompt_dim,
            config.image_size,
        )
    assert isinstance(config, SamConfig)
    return VisionTransformer(
        config.image_size,
        config.patch_size,
        config.embed_dim,
        config.depth,
        config.num_heads,
        int(config.embed_dim * config.mlp_ratio),
        config.window_size,
        config.global_blocks,
        config.prompt_dim,
    )


def prompt_encoder(config: DecoderConfig) -> PromptEncoder:
    from segment_anything.modeling import PromptEncoder

    return PromptEncoder(
        embed_dim=config.prompt_dim,
        image_embedding_size=(config.grid, config.grid),
        input_image_size=(config.image_size, config.image_size),
        mask_in_chans=config.mask_in_chans,
    )


def two_way_transformer(config: DecoderConfig) -> TwoWayTransformer:
    return TwoWayTransformer(
        config.decoder_depth,
        config.prompt_dim,
        config.decoder_num_heads,
        config.decoder_mlp_dim,
        config.decoder_downsample,
    )


def parts(network: nn.ModuleDict) -> Parts:
    """The parts of what `build` gives."""
    return Parts(*(cast("Any", network[name]) for name in Parts._fields))
