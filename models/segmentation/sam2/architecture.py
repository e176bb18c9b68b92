"""The SAM 2 network as its file describes it: hyper-parameters, then empty modules to load into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import torch
from torch import nn

from ...errors import BadCheckpoint
from ...weights import count_layers, empty_weights
from .hiera import Hiera
from .image_encoder import ImageEncoder, Pyramid

if TYPE_CHECKING:
    from segment_anything.modeling import PromptEncoder

    from .mask_decoder import MaskDecoder

PATCH: Final = 16
"""Pixels of a side of the smallest map's cells."""


class Stability(NamedTuple):
    """When the one mask is too unsure: where the area that its logits keep `delta` above 0, in the area that they
    keep as far below, is less than `threshold`."""

    delta: float
    threshold: float


STABILITY: Final = Stability(delta=0.05, threshold=0.98)


@dataclass(frozen=True)
class Sam2Config:
    """Hyper-parameters of a SAM 2 network for images.

    image_size: pixels of the encoder's square input. widths, depths, heads, windows, global_blocks, background,
    mlp_ratio: see `Hiera`. top_down: see `Pyramid`. dim: channels of the decoder. stability: see `MaskDecoder`.
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    windows: tuple[int, ...]
    global_blocks: tuple[int, ...]
    background: int
    image_size: int = 1024
    mlp_ratio: float = 4.0
    top_down: tuple[int, ...] = (2, 3)
    dim: int = 256
    mask_in_chans: int = 16
    decoder_depth: int = 2
    decoder_mlp_dim: int = 2048
    decoder_num_heads: int = 8
    decoder_downsample: int = 2
    num_multimasks: int = 3
    iou_head_depth: int = 3
    iou_head_dim: int = 256
    stability: Stability | None = STABILITY

    @property
    def grid(self) -> int:
        """Side of the smallest map in cells."""
        return self.image_size // PATCH


_SMALL_HEADS, _LARGE_HEADS = (1, 2, 4, 8), (2, 4, 8, 16)
PUBLISHED: Final = {
    "tiny": Sam2Config((96, 192, 384, 768), (1, 2, 7, 2), _SMALL_HEADS, (8, 4, 14, 7), (5, 7, 9), 7),
    "small": Sam2Config((96, 192, 384, 768), (1, 2, 11, 2), _SMALL_HEADS, (8, 4, 14, 7), (7, 10, 13), 7),
    "base_plus": Sam2Config((112, 224, 448, 896), (2, 3, 16, 3), _LARGE_HEADS, (8, 4, 14, 7), (12, 16, 20), 14),
    "large": Sam2Config((144, 288, 576, 1152), (2, 6, 36, 4), _LARGE_HEADS, (8, 4, 16, 8), (23, 33, 43), 7),
}
"""The published sizes. Shapes tell widths, depths and most of the decoder; heads, windows, global blocks and all that
has a default above cannot be detected."""


def from_shapes(tensors: Mapping[str, torch.Tensor], what: str) -> Sam2Config:
    """The published configuration whose widths and depths a file in Meta's layout has; only shapes are read.

    Raises:
        BadCheckpoint: a tensor that tells them is missing, or none has them.
    """
    trunk = "image_encoder.trunk"
    depth = count_layers(tensors, f"{trunk}.blocks.{{}}.norm1.weight")
    try:
        found = [len(tensors[f"{trunk}.blocks.{index}.norm2.weight"]) for index in range(depth)]
    except KeyError as error:
        raise BadCheckpoint(f"{what}: its tensor {error} is missing; download it again.") from error
    widths = tuple(dict.fromkeys(found))
    depths = tuple(found.count(width) for width in widths)
    for config in PUBLISHED.values():
        if (config.widths, config.depths) == (widths, depths):
            return config
    raise BadCheckpoint(
        f"{what}: its stages have widths {widths} and depths {depths}, which is none of the published sizes "
        f"({', '.join(PUBLISHED)}), and the file does not tell its windows and heads; save it as a transformers folder."
    )


def from_config(config: Mapping[str, Any], what: str) -> Sam2Config:
    """What a transformers folder's config.json says.

    Raises:
        BadCheckpoint: an entry is missing, or is of a network that the pack does not build.
    """
    try:
        vision, prompt, decoder = (config[f"{part}_config"] for part in ("vision", "prompt_encoder", "mask_decoder"))
        trunk = vision["backbone_config"]
        _check_fixed(
            what,
            patch_kernel_size=(_pair(trunk["patch_kernel_size"]), (7, 7)),
            patch_stride=(_pair(trunk["patch_stride"]), (4, 4)),
            patch_padding=(_pair(trunk["patch_padding"]), (3, 3)),
            query_stride=(_pair(trunk["query_stride"]), (2, 2)),
            num_query_pool_stages=(trunk["num_query_pool_stages"], 3),
            hidden_act=({trunk["hidden_act"], prompt["hidden_act"], decoder["hidden_act"]}, {"gelu"}),
            stages=(len(trunk["blocks_per_stage"]), 4),
            fpn_kernel_size=(vision["fpn_kernel_size"], 1),
            num_feature_levels=(vision["num_feature_levels"], 3),
            backbone_channel_list=(vision["backbone_channel_list"], trunk["embed_dim_per_stage"][::-1]),
            patch_size=(prompt["patch_size"], PATCH),
            hidden_size=({vision["fpn_hidden_size"], prompt["hidden_size"]}, {decoder["hidden_size"]}),
            image_size=(set(_pair(trunk["image_size"])), set(_pair(prompt["image_size"]))),
        )
        return Sam2Config(
            widths=tuple(trunk["embed_dim_per_stage"]),
            depths=tuple(trunk["blocks_per_stage"]),
            heads=tuple(trunk["num_attention_heads_per_stage"]),
            windows=tuple(trunk["window_size_per_stage"]),
            global_blocks=tuple(trunk["global_attention_blocks"]),
            background=_pair(trunk["window_positional_embedding_background_size"])[0],
            image_size=_pair(trunk["image_size"])[0],
            mlp_ratio=trunk["mlp_ratio"],
            top_down=tuple(vision["fpn_top_down_levels"]),
            dim=decoder["hidden_size"],
            mask_in_chans=prompt["mask_input_channels"],
            decoder_depth=decoder["num_hidden_layers"],
            decoder_mlp_dim=decoder["mlp_dim"],
            decoder_num_heads=decoder["num_attention_heads"],
            decoder_downsample=decoder["attention_downsample_rate"],
            num_multimasks=decoder["num_multimask_outputs"],
            iou_head_depth=decoder["iou_head_depth"],
            iou_head_dim=decoder["iou_head_hidden_dim"],
            stability=_stability(decoder),
        )
    except KeyError as error:
        raise BadCheckpoint(f"{what}: its config.json has no {error}; download it again.") from error


def _stability(decoder: Mapping[str, Any]) -> Stability | None:
    if not decoder["dynamic_multimask_via_stability"]:
        return None
    return Stability(decoder["dynamic_multimask_stability_delta"], decoder["dynamic_multimask_stability_thresh"])


def _pair(value: int | Sequence[int]) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _check_fixed(what: str, **entries: tuple[Any, Any]) -> None:
    """What all published files have in common, and the network is built for: for each name found and expected."""
    for name, (found, expected) in entries.items():
        if found != expected:
            raise BadCheckpoint(
                f"{what}: config.json says {name} {found}, the pack reads networks with {expected}; choose another."
            )


class Parts(NamedTuple):
    """The network, for images."""

    image_encoder: ImageEncoder
    prompt_encoder: PromptEncoder
    mask_decoder: MaskDecoder


def build(config: Sam2Config) -> nn.ModuleDict:
    """The network on the meta device, without storage, its parts named as in `Parts`."""
    from segment_anything.modeling import PromptEncoder, TwoWayTransformer

    from .mask_decoder import MaskDecoder

    with empty_weights():
        trunk = Hiera(
            config.widths,
            config.depths,
            config.heads,
            config.windows,
            config.global_blocks,
            config.background,
            config.mlp_ratio,
        )
        transformer = TwoWayTransformer(
            depth=config.decoder_depth,
            embedding_dim=config.dim,
            num_heads=config.decoder_num_heads,
            mlp_dim=config.decoder_mlp_dim,
            attention_downsample_rate=config.decoder_downsample,
        )
        return nn.ModuleDict(
            {
                "image_encoder": ImageEncoder(trunk, Pyramid(config.widths, config.dim, config.top_down)),
                "prompt_encoder": PromptEncoder(
                    embed_dim=config.dim,
                    image_embedding_size=(config.grid, config.grid),
                    input_image_size=(config.image_size, config.image_size),
                    mask_in_chans=config.mask_in_chans,
                ),
                "mask_decoder": MaskDecoder(
                    transformer, config.num_multimasks, config.iou_head_depth, config.iou_head_dim, config.stability
                ),
            }
        )


def parts(network: nn.ModuleDict) -> Parts:
    """The parts of what `build` gives."""
    return Parts(*(cast("Any", network[name]) for name in Parts._fields))
