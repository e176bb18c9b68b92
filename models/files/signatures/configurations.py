"""Where folders belong, by what their configurations say."""

from __future__ import annotations

from typing import Final

from .signature import (
    DETECTOR,
    DINOV2,
    EXTRACTOR,
    GENERATOR,
    OWN_CODE,
    OWN_CONTROLNET,
    PROMPT_FOLDER,
    SEGMENTER,
    STABLE_DIFFUSION_FOLDER,
    TEXT_ENCODER,
    UNET,
    VISION,
)

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
    "dinov2": DINOV2,
    "dinov2_with_registers": EXTRACTOR,
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
    "DiTPipeline": GENERATOR,
    "StableDiffusionPipeline": STABLE_DIFFUSION_FOLDER,
    "StableDiffusionInpaintPipeline": STABLE_DIFFUSION_FOLDER,
    "StableDiffusionImg2ImgPipeline": "it belongs into models/diffusers, for Load Inpainter",
    "StableDiffusionXLPipeline": STABLE_DIFFUSION_FOLDER,
    "StableDiffusionXLInpaintPipeline": STABLE_DIFFUSION_FOLDER,
    "StableDiffusionXLImg2ImgPipeline": "it belongs into models/diffusers, for Load Inpainter",
    "PixArtAlphaPipeline": PROMPT_FOLDER,
    "PixArtSigmaPipeline": PROMPT_FOLDER,
    "IFPipeline": PROMPT_FOLDER,
    "CogView3PlusPipeline": PROMPT_FOLDER,
}
"""Where a folder belongs whose configuration says that it is of this class of diffusers, or type of transformers."""
