"""Whole diffusion models, and their parts; the particular before the general."""

from __future__ import annotations

from typing import Final

from .signature import CHECKPOINT, DIT, GENERATOR, GLIDE, OWN_CODE, STABLE_DIFFUSION, UNET, Signature

LDM: Final = r"model\.diffusion_model\."

SIGNATURES: Final = (
    Signature(
        "a Stable Diffusion XL checkpoint",
        STABLE_DIFFUSION,
        ("generator", "inpainter"),
        (r"conditioner\.embedders\.0\.transformer\.text_model\.embeddings\.token_embedding\.weight",),
    ),
    Signature(
        "a Stable Diffusion XL refiner", CHECKPOINT, (), (r"conditioner\.embedders\.0\.model\.token_embedding\.weight",)
    ),
    Signature(
        "a Stable Diffusion 3 checkpoint", CHECKPOINT, (), (LDM + r"joint_blocks\.0\.x_block\.attn\.qkv\.weight",)
    ),
    Signature(
        "a Stable Diffusion 3 diffusion model without its other parts",
        UNET,
        (),
        (r"joint_blocks\.0\.x_block\.attn\.qkv\.weight",),
    ),
    Signature("a Flux checkpoint", CHECKPOINT, (), (LDM + r"double_blocks\.0\.img_attn\.qkv\.weight",)),
    Signature(
        "a Flux diffusion model without its other parts", UNET, (), (r"double_blocks\.0\.img_attn\.qkv\.weight",)
    ),
    Signature(
        "a Flux or Stable Diffusion 3 diffusion model in diffusers' layout",
        UNET,
        (),
        (r"transformer_blocks\.0\.(attn\.add_k_proj|norm1_context)\.",),
    ),
    Signature(
        "a Stable Diffusion 2.x checkpoint",
        STABLE_DIFFUSION,
        ("generator", "inpainter"),
        (LDM + r"input_blocks\.0\.0\.weight", r"cond_stage_model\.model\.token_embedding\.weight"),
    ),
    Signature(
        "a latent diffusion model of CompVis that draws by text (LDM, before Stable Diffusion)",
        GENERATOR,
        ("generator",),
        (LDM + r"input_blocks\.0\.0\.weight", r"cond_stage_model\.transformer\.(token_emb|attn_layers)\."),
    ),
    Signature(
        "a Stable Diffusion 1.x checkpoint",
        STABLE_DIFFUSION,
        ("generator", "inpainter"),
        (
            LDM + r"input_blocks\.0\.0\.weight",
            r"first_stage_model\.encoder\.conv_in\.weight",
            r"cond_stage_model\.transformer\.text_model\.embeddings\.token_embedding\.weight",
        ),
    ),
    Signature(
        "a latent diffusion model of CompVis (LDM)",
        GENERATOR,
        ("generator",),
        (LDM + r"input_blocks\.0\.0\.weight", r"first_stage_model\.quantize\."),
    ),
    Signature(
        "a latent diffusion model of CompVis that draws classes (LDM)",
        GENERATOR,
        ("generator",),
        (LDM + r"input_blocks\.0\.0\.weight", r"cond_stage_model\.embedding\.weight"),
    ),
    Signature(
        "a latent diffusion model of CompVis without a condition (LDM)",
        GENERATOR,
        ("generator",),
        (
            LDM + r"input_blocks\.0\.0\.weight",
            LDM + r"(input|middle)_block(s\.\d+)?\.\d\.qkv\.weight",
            r"first_stage_model\.decoder\.conv_in\.weight",
        ),
    ),
    Signature(
        "a Stable Diffusion checkpoint without VAE or text encoder",
        CHECKPOINT,
        (),
        (LDM + r"input_blocks\.0\.0\.weight",),
    ),
    Signature("a DiT", DIT, ("generator",), (r"x_embedder\.proj\.weight", r"blocks\.0\.adaLN_modulation\.1\.weight")),
    Signature("an EDM", GENERATOR, ("generator",), (r"(model\.)?map_layer0\.weight", r"(model\.)?(enc|dec)\.")),
    Signature("a GLIDE", GLIDE, ("generator", "inpainter"), (r"padding_embedding$", r"input_blocks\.0\.0\.weight")),
    Signature(
        "a classifier of guided diffusion (ADM), which steers another model",
        "it belongs into models/generators, for Classifier Guidance",
        ("classifier",),
        (r"input_blocks\.0\.0\.weight", r"out\.2\.(c_proj|qkv_proj|positional_embedding)"),
    ),
    Signature(
        "a U-Net of guided diffusion (ADM, or improved DDPM)",
        GENERATOR,
        ("generator",),
        (r"input_blocks\.0\.0\.weight", r"(input|middle)_block(s\.\d+)?\.\d\.qkv\.weight"),
    ),
    Signature("a diffusion U-Net without its other parts", UNET, (), (r"input_blocks\.0\.0\.weight",)),
    Signature(
        "a diffusers U-Net without its other parts",
        UNET,
        (),
        (
            r"down_blocks\.0\.resnets\.0\.conv1\.weight",
            r"time_embedding\.linear_1\.bias",
            r"(down|up)_blocks\.\d\.attentions\.0\.transformer_blocks\.",
        ),
    ),
    Signature(
        "a pixel diffusion U-Net of diffusers (DDPM)",
        GENERATOR,
        ("generator",),
        (r"down_blocks\.0\.resnets\.0\.conv1\.weight", r"time_embedding\.linear_1\.bias"),
    ),
    Signature("a denoising diffusion GAN", GENERATOR, ("generator",), (r"all_modules\.\d+\.", r"z_transform\.")),
    Signature("a U-Net of score_sde (NCSN++, DDPM++)", OWN_CODE, (), (r"all_modules\.\d+\.",)),
)
