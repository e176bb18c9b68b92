"""What a state dict is, told by the names of its tensors: errors say what a wrong file really holds, and its place."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, NamedTuple

LORA: Final = "lora"
"""What the pack reads without a registry of families."""
OWN_CODE: Final = "neither the pack nor ComfyUI loads it; its authors' code does"
CHECKPOINT: Final = "it belongs into models/checkpoints, for ComfyUI's Load Checkpoint"
STABLE_DIFFUSION: Final = (
    "it belongs into models/checkpoints, for Load Inpainter, or into models/generators, for Load Generator"
)
STABLE_DIFFUSION_FOLDER: Final = "it belongs into models/diffusers, for Load Generator and Load Inpainter"
UNET: Final = "it belongs into models/diffusion_models, for ComfyUI's Load Diffusion Model"
NO_STYLEGAN1: Final = "neither the pack nor ComfyUI loads it; its authors' code does. The pack reads StyleGAN2"
GENERATOR: Final = "it belongs into models/generators, for Load Generator"
DETECTOR: Final = "it belongs into models/grounding-dino, for Load Detector"
DETECTOR_FOLDER: Final = "it belongs with its config.json into a folder in models/grounding-dino, for Load Detector"
SEGMENTER: Final = "it belongs into models/sams, for Load Segmenter"
SEGMENTER_FOLDER: Final = "it belongs with its config.json into a folder in models/sams, for Load Segmenter"
VISION: Final = "it belongs into models/clip_vision, for Load CLIP Vision"
TEXT_ENCODER: Final = "it belongs into models/text_encoders, for ComfyUI's Load CLIP"
CONTROLNET: Final = "it belongs into models/controlnet, for ComfyUI's Load ControlNet Model"
PUBLISHED_SAM: Final = "the pack segments with SAM, HQ-SAM, MobileSAM and SAM 2.1 in models/sams; other packs load it"
OWN_CONTROLNET: Final = "it belongs into models/controlnet, for Load ControlNet"


LATER: Final = re.compile(r"(?<![^.])(?!(?:320|640|768|1280)(?![^.]))[1-9]\d+(?![^.])")
"""Numbers of two and more digits in names, but for those of hypernetworks."""


class Signature(NamedTuple):
    """what: an architecture, as messages say it. where: the sentence that says where it belongs. readers: the kinds of
    model of the pack that it is ("generator"). patterns: regular expressions, each of which some tensor's name
    matches from its beginning; no other architecture has names for all of them."""

    what: str
    where: str
    readers: tuple[str, ...]
    patterns: tuple[str, ...]


LDM: Final = r"model\.diffusion_model\."
SIGNATURES: Final = (
    # What is laid over another model.
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
    # Segmenters.
    Signature(
        "an HQ-SAM segmenter",
        SEGMENTER,
        ("segmenter",),
        (r"mask_decoder\.h[fq]_token\.weight", r"mask_decoder\.iou_token\.weight"),
    ),
    Signature(
        "a MobileSAM segmenter",
        SEGMENTER,
        ("segmenter",),
        (r"image_encoder\.patch_embed\.seq\.0\.c\.weight", r"mask_decoder\.iou_token\.weight"),
    ),
    Signature(
        "an EfficientSAM",
        PUBLISHED_SAM,
        (),
        (r"image_encoder\.patch_embed\.proj\.weight", r"mask_decoder\.iou_token\.", r"image_encoder\.neck\.0\.1\."),
    ),
    Signature(
        "a Segment Anything (SAM) segmenter",
        SEGMENTER,
        ("segmenter",),
        (r"image_encoder\.patch_embed\.proj\.weight", r"mask_decoder\.iou_token\.weight"),
    ),
    Signature(
        "a SAM 2 segmenter",
        SEGMENTER,
        ("segmenter",),
        (r"image_encoder\.trunk\.patch_embed\.proj\.weight", r"sam_mask_decoder\.iou_token\.weight"),
    ),
    Signature(
        "the weights of a SAM 2 in transformers' layout, which is read as a folder with its config.json",
        SEGMENTER_FOLDER,
        ("segmenter",),
        (r"vision_encoder\.backbone\.pos_embed_window", r"mask_decoder\.conv_s0\.weight"),
    ),
    Signature(
        "a SAM segmenter in transformers' layout",
        SEGMENTER,
        ("segmenter",),
        (r"vision_encoder\.(patch_embed|layers\.0)", r"mask_decoder\.iou_token\.weight"),
    ),
    Signature(
        "a YOLO detector or segmenter",
        "packs for Ultralytics load it, from models/ultralytics",
        (),
        (r"(model\.)?(model\.)?0\.conv\.weight", r"(model\.)?(model\.)?\d+\.(dfl|cv2|m\.0)\."),
    ),
    # Detectors.
    Signature(
        "a Grounding DINO detector",
        DETECTOR,
        ("detector",),
        (r"transformer\.decoder\.norm\.weight", r"feat_map\.weight"),
    ),
    Signature(
        "a Grounding DINO of mmdetection",
        "Load Detector reads MM-Grounding-DINO as a folder of transformers, such as "
        "openmmlab-community/mm_grounding_dino_tiny_o365v1_goldg, in models/grounding-dino",
        (),
        (r"language_model\.language_backbone\.", r"(bbox_head\.|text_feat_map\.)"),
    ),
    Signature(
        "the weights of an MM-Grounding-DINO in transformers' layout, which is read as a folder with its config.json",
        DETECTOR_FOLDER,
        ("detector",),
        (r"model\.text_projection\.weight", r"model\.encoder_output_class_embed\.bias"),
    ),
    Signature(
        "the weights of a Grounding DINO in transformers' layout, which is read as a folder with its config.json",
        DETECTOR_FOLDER,
        ("detector",),
        (r"model\.text_projection\.weight", r"model\.(encoder|text_backbone)\."),
    ),
    Signature(
        "the weights of an OWLv2 in transformers' layout, which is read as a folder with its config.json",
        DETECTOR_FOLDER,
        ("detector",),
        (r"owlv2\.vision_model\.", r"class_head\.dense0\.weight"),
    ),
    Signature(
        "the weights of an RT-DETR or a D-FINE in transformers' layout, which is read as a folder with its config.json",
        DETECTOR_FOLDER,
        ("detector",),
        (r"model\.encoder_input_proj\.", r"model\.decoder\.(class|bbox)_embed\."),
    ),
    Signature(
        "the weights of an OmDet-Turbo in transformers' layout, which is read as a folder with its config.json",
        DETECTOR_FOLDER,
        ("detector",),
        (r"language_backbone\.text_projection", r"vision_backbone\.vision_backbone\."),
    ),
    # Whole diffusion models, and their parts.
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
        OWN_CODE,
        (),
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
        OWN_CODE,
        (),
        (LDM + r"input_blocks\.0\.0\.weight", r"first_stage_model\.quantize\."),
    ),
    Signature(
        "a Stable Diffusion checkpoint without VAE or text encoder",
        CHECKPOINT,
        (),
        (LDM + r"input_blocks\.0\.0\.weight",),
    ),
    Signature("a DiT", OWN_CODE, (), (r"x_embedder\.proj\.weight", r"blocks\.0\.adaLN_modulation\.1\.weight")),
    Signature("an EDM", OWN_CODE, (), (r"(model\.)?map_layer0\.weight", r"(model\.)?(enc|dec)\.")),
    Signature("a GLIDE", OWN_CODE, (), (r"padding_embedding$", r"input_blocks\.0\.0\.weight")),
    Signature(
        "a classifier of guided diffusion (ADM), which steers another model",
        OWN_CODE,
        (),
        (r"input_blocks\.0\.0\.weight", r"out\.2\.(c_proj|qkv_proj|positional_embedding)"),
    ),
    Signature(
        "a U-Net of guided diffusion (ADM, or improved DDPM)",
        OWN_CODE,
        (),
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
    Signature("a denoising diffusion GAN", OWN_CODE, (), (r"all_modules\.\d+\.", r"z_transform\.")),
    Signature("a U-Net of score_sde (NCSN++, DDPM++)", OWN_CODE, (), (r"all_modules\.\d+\.",)),
    # Adversarial networks.
    Signature(
        "a StyleGAN2 generator",
        GENERATOR,
        ("generator",),
        (r"synthesis\.b4\.const$", r"synthesis\.b4\.torgb\.weight"),
    ),
    Signature(
        "a StyleGAN2 discriminator, which draws nothing",
        "neither the pack nor ComfyUI loads it; the generator is in the same snapshot, as G_ema",
        (),
        (r"b4\.conv\.weight", r"b\d+\.fromrgb\.weight"),
    ),
    Signature(
        "a StyleGAN3 generator",
        "neither the pack nor ComfyUI loads it; NVlabs/stylegan3 does. StyleGAN2 is read",
        (),
        (r"synthesis\.input\.(weight|freqs)", r"mapping\.fc0\.weight"),
    ),
    Signature(
        "a StyleGAN-XL generator",
        OWN_CODE,
        (),
        (r"synthesis\.input\.", r"mapping\.embed_proj\."),
    ),
    Signature(
        "a StyleGAN2 generator in the layout of rosinality/stylegan2-pytorch",
        "neither the pack nor ComfyUI loads it; Load Generator reads NVIDIA's own snapshots (stylegan2-ada-pytorch): "
        "fetch that version",
        (),
        (r"style\.1\.weight", r"(convs\.0\.conv\.modulation|conv1\.conv\.modulation)\."),
    ),
    Signature(
        "a StyleGAN1 generator in the layout of rosinality/style-based-gan-pytorch",
        NO_STYLEGAN1,
        (),
        (r"generator\.progression\.0\.", r"style\.1\."),
    ),
    Signature(
        "a StyleGAN1 generator in the layout of genforce",
        NO_STYLEGAN1,
        (),
        (r"mapping\.dense0\.weight", r"synthesis\.(layer0|lod)"),
    ),
    Signature(
        "a StyleGAN1 generator in the layout of lernapparat",
        NO_STYLEGAN1,
        (),
        (r"g_mapping\.dense0\.weight", r"g_synthesis\."),
    ),
    Signature("a FastGAN generator", OWN_CODE, (), (r"init\.init\.0\.", r"(se_64|feat_8)\.")),
    Signature(
        "a BigGAN generator",
        OWN_CODE,
        (),
        (r"(generator\.)?(gen_z|linear)\.", r"(generator\.layers|blocks)\.0\.(0\.)?(bn1|bn_0|conv1|conv_0)"),
    ),
    Signature("a DF-GAN generator, which draws by text", OWN_CODE, (), (r"GBlocks\.0\.",)),
    Signature("a DF-GAN discriminator", OWN_CODE, (), (r"(DBlocks\.0|joint_conv\.0)\.",)),
    Signature("an SSA-GAN generator, which draws by text", OWN_CODE, (), (r"conv_mask\.0\.", r"block0\.affine0\.")),
    Signature("a DM-GAN generator, which draws by text", OWN_CODE, (), (r"h_net1\.", r"h_net2\.(key|M_w)\.")),
    Signature("an AttnGAN generator, which draws by text", OWN_CODE, (), (r"h_net1\.", r"h_net2\.att\.")),
    Signature("a StackGAN generator, which draws by text", OWN_CODE, (), (r"(h_net1|ca_net)\.",)),
    Signature("a discriminator of AttnGAN or DM-GAN", OWN_CODE, (), (r"(UN)?COND_DNET\.",)),
    Signature(
        "a DAMSM text encoder, of AttnGAN and its successors",
        OWN_CODE,
        (),
        (r"rnn\.weight_ih_l0_reverse", r"encoder\.weight"),
    ),
    # Autoencoders and what draws their codes.
    Signature(
        "a VQGAN of taming-transformers",
        "neither the pack nor ComfyUI loads it; its authors' code does. The pack reads VQModel in diffusers' layout",
        (),
        (r"encoder\.down\.0\.block\.0\.", r"quantize\."),
    ),
    Signature(
        "a transformer of taming-transformers",
        OWN_CODE,
        (),
        (r"(transformer\.)?pos_emb$", r"(transformer\.)?blocks\.0\.attn\.key\.weight", r"(transformer\.)?tok_emb\."),
    ),
    Signature("a minDALL-E", OWN_CODE, (), (r"tok_emb_(img|txt)\.weight", r"blocks\.0\.")),
    Signature(
        "a part of DALL-E (its encoder or decoder of codes)",
        OWN_CODE,
        (),
        (r"blocks\.input\.w$", r"blocks\.output\.conv\.w$"),
    ),
    Signature("an ImageGPT", OWN_CODE, (), (r"transformer\.wte\.weight", r"transformer\.h\.0\.")),
    Signature(
        "the text encoder of a latent diffusion model (LDM)",
        OWN_CODE,
        (),
        (r"token_emb\.weight", r"attn_layers\.layers\.0\."),
    ),
    Signature(
        "a variational autoencoder",
        "it belongs into models/vae, for ComfyUI's Load VAE, or into models/generators, for Load Generator",
        ("generator",),
        (r"encoder\.conv_in\.weight", r"decoder\.conv_in\.weight"),
    ),
    Signature(
        "a tiny autoencoder (TAESD)",
        GENERATOR,
        ("generator",),
        (
            r"(encoder\.|decoder\.)?(layers\.)?\d+\.conv\.[04]\.weight",
            r"(encoder\.|decoder\.)?(layers\.)?\d+\.conv\.2\.weight",
        ),
    ),
    Signature(
        "a convolutional VAE of PyTorch-VAE", GENERATOR, ("generator",), (r"encoder\.0\.0\.weight", r"fc_mu\.weight")
    ),
    Signature(
        "a VQ-VAE of PyTorch-VAE", GENERATOR, ("generator",), (r"encoder\.0\.0\.weight", r"vq_layer\.embedding\.weight")
    ),
    Signature("a VAE of MNIST", GENERATOR, ("generator",), (r"fc21\.weight", r"fc4\.weight")),
    Signature("a sigma-VAE of the pack", GENERATOR, ("generator",), (r"encoder\.0\.0\.weight", r"expansion\.weight")),
    Signature(
        "a VQModel of diffusers with a prior over its codes", GENERATOR, ("generator",), (r"vqvae\.", r"prior\.")
    ),
    Signature(
        "a VQModel of diffusers",
        GENERATOR,
        ("generator",),
        (r"encoder\.down_blocks\.0\.resnets\.0\.", r"quantize\.embedding\.weight"),
    ),
    Signature("a DCGAN generator", GENERATOR, ("generator",), (r"main\.0\.weight", r"main\.1\.running_mean")),
    Signature(
        "a row of dense layers, such as a GAN's generator",
        GENERATOR,
        ("generator",),
        (r"0\.weight", r"\A(\d+\.(weight|bias)\n?){4,}\Z"),
    ),
    # Encoders and networks that compare pictures.
    Signature("a CLIP with both encoders", VISION, (), (r"text_model\.embeddings\.", r"vision_model\.embeddings\.")),
    Signature("a CLIP text encoder", TEXT_ENCODER, (), (r"text_model\.embeddings\.token_embedding\.weight",)),
    Signature(
        "a T5 text encoder",
        TEXT_ENCODER,
        (),
        (r"encoder\.block\.0\.layer\.0\.SelfAttention\.q\.weight",),
    ),
    Signature(
        "a CLIP vision model, which Load CLIP Vision loads", VISION, (), (r"vision_model\.embeddings\.class_embedding",)
    ),
    Signature(
        "a DINOv2 vision model, which Load CLIP Vision loads",
        VISION,
        (),
        (r"embeddings\.cls_token", r"encoder\.layer\.0\.layer_scale1\.lambda1"),
    ),
    Signature(
        "a CLIP of OpenAI or OpenCLIP", VISION, (), (r"visual\.(transformer\.resblocks|layer1)\.", r"token_embedding")
    ),
    Signature(
        "an AlexNet or VGG, which LPIPS uses",
        "it belongs into models/metrics, for Score Pairs",
        (),
        (r"features\.0\.weight", r"classifier\.6\.weight"),
    ),
    Signature(
        "the linear layers of LPIPS",
        "they belong into models/metrics, for Score Pairs",
        (),
        (r"lin0\.model\.1\.weight",),
    ),
    Signature(
        "an Inception-v3 of torchvision, trained for classes",
        "FID is defined by the Inception-v3 of 2015, pt_inception-2015-12-05-6726825d.pth, which belongs into "
        "models/metrics, for Load Feature Extractor",
        (),
        (r"Mixed_5b\.branch1x1\.conv\.weight", r"AuxLogits\."),
    ),
    Signature(
        "an Inception-v3 network",
        "it belongs into models/metrics, for Load Feature Extractor",
        ("extractor",),
        (r"Mixed_5b\.branch1x1\.conv\.weight",),
    ),
    Signature(
        "a classifier of small pictures of the pack",
        "it belongs into models/metrics, for Load Feature Extractor",
        ("extractor",),
        (r"head\.bias", r"\A((blocks\.\d+\.\S+|head\.(weight|bias))\n?)+\Z"),
    ),
    Signature("a LeNet, which classifies digits", OWN_CODE, (), (r"convnet\.c1\.weight", r"fc\.f7\.weight")),
    Signature(
        "a ResNet, which classifies pictures", OWN_CODE, (), (r"layer1\.0\.conv1\.weight", r"layer4\.0\.conv1\.weight")
    ),
)
"""What files hold, the particular before the general."""

MODEL_TYPES: Final = {
    "sam": SEGMENTER,
    "sam_hq": SEGMENTER,
    "sam2": SEGMENTER,
    "sam2_video": SEGMENTER,
    "grounding-dino": DETECTOR,
    "mm-grounding-dino": DETECTOR,
    "owlv2": DETECTOR,
    "rt_detr_v2": DETECTOR,
    "d_fine": DETECTOR,
    "omdet-turbo": DETECTOR,
    "clip": VISION,
    "clip_vision_model": VISION,
    "clip_text_model": TEXT_ENCODER,
    "dinov2": VISION,
    "siglip": VISION,
    "imagegpt": OWN_CODE,
    "UNet2DModel": GENERATOR,
    "UNet2DConditionModel": UNET,
    "AutoencoderKL": GENERATOR,
    "AutoencoderTiny": GENERATOR,
    "VQModel": GENERATOR,
    "ControlNetModel": OWN_CONTROLNET,
    "DDPMPipeline": GENERATOR,
    "DDIMPipeline": GENERATOR,
    "LDMPipeline": GENERATOR,
    "StableDiffusionPipeline": STABLE_DIFFUSION_FOLDER,
    "StableDiffusionInpaintPipeline": STABLE_DIFFUSION_FOLDER,
    "StableDiffusionImg2ImgPipeline": "it belongs into models/diffusers, for Load Inpainter",
    "StableDiffusionXLPipeline": STABLE_DIFFUSION_FOLDER,
    "StableDiffusionXLInpaintPipeline": STABLE_DIFFUSION_FOLDER,
    "StableDiffusionXLImg2ImgPipeline": "it belongs into models/diffusers, for Load Inpainter",
}
"""Where a folder belongs whose configuration says that it is of this class of diffusers, or type of transformers."""


def recognise(names: Collection[str]) -> Signature | None:
    """The architecture that these tensor names belong to; None where no signature fits."""
    # Of layers in a row the first ten tell it; those of a huge file would take a minute.
    text = "\n".join(dict.fromkeys(LATER.sub("10", name) for name in names))
    return next((each for each in SIGNATURES if all(_has(text, pattern) for pattern in each.patterns)), None)


def _has(text: str, pattern: str) -> bool:
    return re.search(f"^(?:{pattern})", text, re.MULTILINE) is not None
