"""The SAM network as its weights describe it: hyper-parameters from tensor shapes, then empty modules to load into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import nn

from ...files.checkpoints import described
from ...weights import count_layers, empty_weights


@dataclass(frozen=True)
class SamConfig:
    """Hyper-parameters of a SAM network, named as in package segment_anything.

    image_size: pixels of the encoder's square input; grid * patch_size.
    global_blocks: indices of the encoder blocks that attend to the whole image; the others attend within windows of
        window_size x window_size patches.
    """

    image_size: int
    patch_size: int
    embed_dim: int
    depth: int
    num_heads: int
    mlp_ratio: float
    global_blocks: tuple[int, ...]
    window_size: int
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


def read_config(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> SamConfig:
    """Hyper-parameters of the network that these tensors belong to; only their shapes are read.

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
    decoder_dim = shapes["mask_decoder.iou_token.weight"][1]
    first_layer = "mask_decoder.transformer.layers.0"
    return SamConfig(
        image_size=grid * patch_size,
        patch_size=patch_size,
        embed_dim=embed_dim,
        depth=depth,
        num_heads=embed_dim // positions[0][1],
        mlp_ratio=shapes["image_encoder.blocks.0.mlp.lin1.weight"][0] / embed_dim,
        global_blocks=tuple(i for i, span in enumerate(spans) if span == grid),
        window_size=min(spans),
        prompt_dim=decoder_dim,
        mask_in_chans=shapes["prompt_encoder.mask_downscaling.3.weight"][0],
        decoder_depth=count_layers(shapes, "mask_decoder.transformer.layers.{}.norm1.weight"),
        decoder_mlp_dim=shapes[f"{first_layer}.mlp.lin1.weight"][0],
        # Cannot be detected; 8 in vit_b, vit_l and vit_h.
        decoder_num_heads=described(metadata).get("decoder_num_heads", 8),
        decoder_downsample=decoder_dim // shapes[f"{first_layer}.cross_attn_token_to_image.q_proj.weight"][0],
        num_multimasks=shapes["mask_decoder.mask_tokens.weight"][0] - 1,
        iou_head_depth=count_layers(shapes, "mask_decoder.iou_prediction_head.layers.{}.weight"),
        iou_head_dim=shapes["mask_decoder.iou_prediction_head.layers.0.weight"][0],
    )


def build(config: SamConfig) -> nn.ModuleDict:
    """The network on the meta device, without storage: image_encoder, prompt_encoder, mask_decoder."""
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, TwoWayTransformer

    with empty_weights():
        return nn.ModuleDict(
            {
                "image_encoder": ImageEncoderViT(
                    img_size=config.image_size,
                    patch_size=config.patch_size,
                    embed_dim=config.embed_dim,
                    depth=config.depth,
                    num_heads=config.num_heads,
                    mlp_ratio=config.mlp_ratio,
                    out_chans=config.prompt_dim,
                    qkv_bias=True,
                    norm_layer=cast("type[nn.Module]", partial(nn.LayerNorm, eps=1e-6)),  # the same in every SAM
                    use_rel_pos=True,
                    window_size=config.window_size,
                    global_attn_indexes=config.global_blocks,
                ),
                "prompt_encoder": PromptEncoder(
                    embed_dim=config.prompt_dim,
                    image_embedding_size=(config.grid, config.grid),
                    input_image_size=(config.image_size, config.image_size),
                    mask_in_chans=config.mask_in_chans,
                ),
                "mask_decoder": MaskDecoder(
                    transformer_dim=config.prompt_dim,
                    transformer=TwoWayTransformer(
                        depth=config.decoder_depth,
                        embedding_dim=config.prompt_dim,
                        num_heads=config.decoder_num_heads,
                        mlp_dim=config.decoder_mlp_dim,
                        attention_downsample_rate=config.decoder_downsample,
                    ),
                    num_multimask_outputs=config.num_multimasks,
                    iou_head_depth=config.iou_head_depth,
                    iou_head_hidden_dim=config.iou_head_dim,
                ),
            }
        )
