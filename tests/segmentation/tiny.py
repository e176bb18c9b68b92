"""A SAM network small enough for every test, built by package segment_anything itself, with random weights."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file
from torch import nn

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

IMAGE_SIZE = 64
PATCH = 8
DIM = 32
DECODER_HEADS = 2


def build(seed: int = 0) -> Sam:
    """A network of five shapes that differ from each other wherever SAM's do."""
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    grid = IMAGE_SIZE // PATCH
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        sam = Sam(
            ImageEncoderViT(
                img_size=IMAGE_SIZE,
                patch_size=PATCH,
                embed_dim=48,
                depth=3,
                num_heads=3,
                mlp_ratio=3,
                out_chans=DIM,
                norm_layer=partial(nn.LayerNorm, eps=1e-6),
                use_rel_pos=True,
                window_size=5,
                global_attn_indexes=(1,),
            ),
            PromptEncoder(DIM, (grid, grid), (IMAGE_SIZE, IMAGE_SIZE), mask_in_chans=8),
            MaskDecoder(
                transformer_dim=DIM,
                transformer=TwoWayTransformer(2, DIM, DECODER_HEADS, mlp_dim=24),
                iou_head_depth=2,
                iou_head_hidden_dim=40,
            ),
        )
        for name, parameter in sam.named_parameters():
            if "pos" in name:
                nn.init.normal_(parameter)
            elif parameter.ndim > 1:
                # Default weights shrink what passes; these keep masks from being empty or full.
                nn.init.normal_(parameter, std=1.5 / parameter[0].numel() ** 0.5)
    return sam.eval().requires_grad_(False)


def save(sam: Sam, folder: Path, **metadata: int) -> Path:
    """Write the network as the pack's own models are written; returns the file."""
    described = {"decoder_num_heads": DECODER_HEADS, **metadata}
    path = folder / "model.safetensors"
    save_file(dict(sam.state_dict()), path, metadata={"trilemma": json.dumps(described)})
    return path
