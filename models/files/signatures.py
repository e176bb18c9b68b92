"""What a state dict is, told by the names of its tensors: errors say what a wrong file really holds."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

SIGNATURES: Final = (
    ("a Segment Anything (SAM) segmenter", ("image_encoder.patch_embed.proj.weight", "mask_decoder.iou_token.weight")),
    ("a SAM 2 segmenter", ("image_encoder.trunk.patch_embed.proj.weight", "sam_mask_decoder.iou_token.weight")),
    (
        "the weights of a SAM 2 in transformers' layout, which is read as a folder with its config.json",
        ("vision_encoder.backbone.pos_embed_window", "mask_decoder.conv_s0.weight"),
    ),
    ("a Grounding DINO detector", ("transformer.decoder.norm.weight", "feat_map.weight")),
    (
        "the weights of an MM-Grounding-DINO in transformers' layout, which is read as a folder with its config.json",
        ("model.text_projection.weight", "model.encoder_output_class_embed.bias"),
    ),
    (
        "the weights of a Grounding DINO in transformers' layout, which is read as a folder with its config.json",
        ("model.text_projection.weight",),
    ),
    (
        "a Stable Diffusion XL checkpoint",
        ("conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight",),
    ),
    ("a Stable Diffusion XL refiner", ("conditioner.embedders.0.model.token_embedding.weight",)),
    ("a Stable Diffusion 3 checkpoint", ("model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight",)),
    ("a Flux checkpoint", ("model.diffusion_model.double_blocks.0.img_attn.qkv.weight",)),
    ("a Flux diffusion model without its other parts", ("double_blocks.0.img_attn.qkv.weight",)),
    (
        "a Stable Diffusion 2.x checkpoint",
        ("model.diffusion_model.input_blocks.0.0.weight", "cond_stage_model.model.token_embedding.weight"),
    ),
    (
        "a Stable Diffusion 1.x checkpoint",
        (
            "model.diffusion_model.input_blocks.0.0.weight",
            "first_stage_model.encoder.conv_in.weight",
            "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
        ),
    ),
    ("a Stable Diffusion checkpoint without VAE or text encoder", ("model.diffusion_model.input_blocks.0.0.weight",)),
    ("a diffusion U-Net without its other parts", ("input_blocks.0.0.weight",)),
    (
        "a diffusers U-Net without its other parts",
        ("down_blocks.0.resnets.0.conv1.weight", "time_embedding.linear_1.bias"),
    ),
    ("a variational autoencoder", ("encoder.conv_in.weight", "decoder.conv_in.weight")),
    ("a CLIP text encoder", ("text_model.embeddings.token_embedding.weight",)),
    ("a CLIP vision model, which Load CLIP Vision loads", ("vision_model.embeddings.class_embedding",)),
    (
        "a DINOv2 vision model, which Load CLIP Vision loads",
        ("embeddings.cls_token", "encoder.layer.0.layer_scale1.lambda1"),
    ),
    ("an AlexNet or VGG, which LPIPS uses", ("features.0.weight", "classifier.6.weight")),
    ("an Inception-v3 network", ("Mixed_5b.branch1x1.conv.weight",)),
)
"""Name of an architecture, and tensors that only it has together."""


def recognise(names: Collection[str]) -> str | None:
    """The architecture that these tensor names belong to; None where no signature fits."""
    return next(
        (architecture for architecture, signature in SIGNATURES if all(name in names for name in signature)), None
    )
