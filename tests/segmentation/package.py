"""A SAM as package segment_anything builds it, with the weights of one of ours: the peer of tests and benchmarks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from trilemma.models.segmentation.sam.architecture import SamConfig
from trilemma.models.segmentation.sam.segmenter import SamSegmenter

if TYPE_CHECKING:
    from segment_anything.modeling import Sam


def package_sam(segmenter: SamSegmenter) -> Sam:
    """The same network, in float32 on the CPU."""
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    config = segmenter.config
    assert isinstance(config, SamConfig)
    grid = (config.grid, config.grid)
    sam = Sam(
        ImageEncoderViT(
            img_size=config.image_size,
            patch_size=config.patch_size,
            embed_dim=config.embed_dim,
            depth=config.depth,
            num_heads=config.num_heads,
            mlp_ratio=config.mlp_ratio,
            out_chans=config.prompt_dim,
            norm_layer=cast("type[nn.Module]", partial(nn.LayerNorm, eps=1e-6)),
            use_rel_pos=True,
            window_size=config.window_size,
            global_attn_indexes=config.global_blocks,
        ),
        PromptEncoder(config.prompt_dim, grid, (config.image_size, config.image_size), config.mask_in_chans),
        MaskDecoder(
            transformer_dim=config.prompt_dim,
            transformer=TwoWayTransformer(
                config.decoder_depth, config.prompt_dim, config.decoder_num_heads, config.decoder_mlp_dim
            ),
            num_multimask_outputs=config.num_multimasks,
            iou_head_depth=config.iou_head_depth,
            iou_head_hidden_dim=config.iou_head_dim,
        ),
    )
    names = ("image_encoder", "prompt_encoder", "mask_decoder")
    state = {
        f"{name}.{key}": value.to("cpu", torch.float32)
        for name, module in zip(names, segmenter.modules, strict=True)
        for key, value in module.state_dict().items()
    }
    sam.load_state_dict(state)
    return sam.eval().requires_grad_(False)
