"""What is laid over another model, or done after it; the particular before the general."""

from __future__ import annotations

from typing import Final

from .signature import CONTROLNET, LORA, OWN_CONTROLNET, Signature

SIGNATURES: Final = (
    Signature(
        "a LoRA",
        "it belongs into models/loras, for Load LoRA, and changes another model",
        (LORA,),
        (
            r".*[._](lora[._](down|up|A|B|linear_layer)|lora_(embedding_)?[AB]|hada_w\d|lokr_w\d|oft_blocks|oft_diag"
            r"|lora_magnitude_vector|dora_scale)\b",
        ),
    ),
    Signature(
        "a textual inversion embedding",
        "it belongs into models/embeddings, and its file name is written into prompts",
        (),
        (r"(emb_params|string_to_param(\.\*)?|clip_[gl])$",),
    ),
    Signature(
        "a hypernetwork",
        "it belongs into models/hypernetworks, for ComfyUI's Load Hypernetwork",
        (),
        (r"(320|768|1280)\.[01]\.linear",),
    ),
    Signature(
        "a ControlNet",
        OWN_CONTROLNET,
        ("controlnet",),
        (r"(.*\.)?(control_model\.)?input_hint_block\.0\.weight", r"(.*\.)?zero_convs\.0\.0\.weight"),
    ),
    Signature(
        "a ControlNet in diffusers' layout",
        OWN_CONTROLNET,
        ("controlnet",),
        (r"controlnet_cond_embedding\.conv_in\.weight",),
    ),
    Signature("a Control-LoRA", CONTROLNET, (), (r"lora_controlnet$",)),
    Signature(
        "a T2I-Adapter", CONTROLNET, (), (r"(adapter\.)?(body|conv_in)\.", r"(adapter\.)?body\.0\.(block1|resnets)")
    ),
    Signature(
        "an IP-Adapter",
        "packs for IP-Adapters load it, from models/ipadapter",
        (),
        (r"(ip_adapter|image_proj(_model)?)\.",),
    ),
    Signature(
        "a motion module of AnimateDiff",
        "packs for AnimateDiff load it",
        (),
        (r".*motion_modules\.\d+\.temporal_transformer\.",),
    ),
    Signature(
        "an upscaler (ESRGAN)",
        "it belongs into models/upscale_models, for ComfyUI's Load Upscale Model",
        (),
        (
            r"(.*RDB1\.conv1\.weight|body\.0\.rdb1\.conv1\.weight|model\.1\.sub\.0\.|body\.0\.weight$|RRDB_trunk)",
            r"(conv_first\.weight|model\.0\.weight|body\.1\.weight|upsampler)",
        ),
    ),
    Signature(
        "an upscaler (a transformer such as SwinIR, HAT or DAT)",
        "it belongs into models/upscale_models, for ComfyUI's Load Upscale Model",
        (),
        (r"conv_first\.weight", r"layers\.0\.(residual_group|blocks)\."),
    ),
)
