"""One signature, and the sentences that say where a file belongs."""

from __future__ import annotations

from typing import Final, NamedTuple

LORA: Final = "lora"
"""What the pack reads without a registry of families."""
OWN_CODE: Final = "neither the pack nor ComfyUI loads it; its authors' code does"
CHECKPOINT: Final = "it belongs into models/checkpoints, for ComfyUI's Load Checkpoint"
STABLE_DIFFUSION: Final = (
    "it belongs into models/checkpoints, for Load Inpainter, or into models/generators, for Load Generator"
)
STABLE_DIFFUSION_FOLDER: Final = "it belongs into models/diffusers, for Load Generator and Load Inpainter"
PROMPT_FOLDER: Final = "it belongs into models/diffusers, for Load Generator"
UNET: Final = "it belongs into models/diffusion_models, for ComfyUI's Load Diffusion Model"
GENERATOR: Final = "it belongs into models/generators, for Load Generator"
WITH_WORDS: Final = (
    "it belongs with its text encoder and captions.pickle into a folder in models/generators, for Load Generator"
)
GLIDE: Final = (
    "it belongs with its upsampler into a folder in models/generators, for Load Generator, or into models/inpaint, "
    "for Load Inpainter"
)
DIT: Final = "it belongs with its autoencoder, sd-vae-ft-ema, into a folder in models/generators, for Load Generator"
DETECTOR: Final = "it belongs into models/grounding-dino, for Load Detector"
DETECTOR_FOLDER: Final = "it belongs with its config.json into a folder in models/grounding-dino, for Load Detector"
SEGMENTER: Final = "it belongs into models/sams, for Load Segmenter"
SEGMENTER_FOLDER: Final = "it belongs with its config.json into a folder in models/sams, for Load Segmenter"
PROMPTLESS: Final = "it belongs into models/inpaint, for Load Inpainter"
VISION: Final = "it belongs into models/clip_vision, for Load CLIP Vision"
EXTRACTOR: Final = "it belongs into models/metrics, for Load Feature Extractor"
DINOV2: Final = (
    "it belongs into models/metrics, for Load Feature Extractor, or into models/clip_vision, for Load CLIP Vision"
)
TEXT_ENCODER: Final = "it belongs into models/text_encoders, for ComfyUI's Load CLIP"
CONTROLNET: Final = "it belongs into models/controlnet, for ComfyUI's Load ControlNet Model"
PUBLISHED_SAM: Final = "the pack segments with SAM, HQ-SAM, MobileSAM and SAM 2.1 in models/sams; other packs load it"
OWN_CONTROLNET: Final = "it belongs into models/controlnet, for Load ControlNet"


class Signature(NamedTuple):
    """what: an architecture, as messages say it. where: the sentence that says where it belongs. readers: the kinds of
    model of the pack that it is ("generator"). patterns: regular expressions, each of which some tensor's name
    matches from its beginning; no other architecture has names for all of them."""

    what: str
    where: str
    readers: tuple[str, ...]
    patterns: tuple[str, ...]
