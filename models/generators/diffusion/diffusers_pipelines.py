"""Diffusion generators from diffusers folders: five pipelines, offline, strict, and never running code."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from ...diffusion import loading, networks, samplers, tiny
from ...diffusion.folders import Classes, PipelineFolder, holds, open_folder
from ...diffusion.stable_diffusion import StableDiffusion
from ...errors import BadCheckpoint
from ...families import Family
from ...files.checkpoints import Checkpoint
from ...files.folders import CONFIG, read_description, understood
from ...weights import DtypeFor, empty_weights
from ..base import Generator
from .ddpm import check_channels, of_scheduler
from .latent_diffusion import GUIDANCE_SCALE, STEPS, TextToImage, UnconditionalLatentDiffusion
from .stable_diffusion_xl import StableDiffusionXL

UNCONDITIONAL_CLASSES: Final[Classes] = {"unet": ("UNet2DModel",), "scheduler": samplers.SUPPORTED}
LATENT_CLASSES: Final[Classes] = {**UNCONDITIONAL_CLASSES, "vqvae": ("VQModel", "AutoencoderKL")}
XL_CLASSES: Final[Classes] = {
    **loading.CLASSES,
    "text_encoder_2": ("CLIPTextModelWithProjection",),
    "tokenizer_2": loading.CLASSES["tokenizer"],
}
"""What a folder of the pack's own says of itself, as safetensors metadata elsewhere: class_names, steps and
guidance_scale, which cannot be detected."""


def _pixels(checkpoint: Checkpoint, dtype_for: DtypeFor) -> Generator:
    folder = open_folder(checkpoint, UNCONDITIONAL_CLASSES)
    unet = _sized_unet(folder)
    check_channels(unet, folder.name)
    scheduler = folder.scheduler_config()
    if folder.index["_class_name"] == "DDIMPipeline":
        scheduler["_class_name"] = "DDIMScheduler"
    return of_scheduler(unet, scheduler)


def _latents(checkpoint: Checkpoint, dtype_for: DtypeFor) -> Generator:
    folder = open_folder(checkpoint, LATENT_CLASSES)
    unet, vae = _sized_unet(folder), folder.network("vqvae")
    given, wanted = unet.config.in_channels, vae.config.latent_channels
    if (given, unet.config.out_channels) != (wanted, wanted):
        raise BadCheckpoint(
            f"{folder.name}: its U-Net has {given} channels, its autoencoder {wanted}; they must agree."
        )
    return UnconditionalLatentDiffusion(unet, vae, folder.scheduler_config())


def _sized_unet(folder: PipelineFolder) -> Any:
    _check_size(folder)
    return folder.network("unet")


def _check_size(folder: PipelineFolder) -> None:
    size = folder.config("unet").get("sample_size")
    sides = size if isinstance(size, list) and len(size) == 2 else [size]
    if not all(isinstance(side, int) and side > 0 for side in sides):
        raise BadCheckpoint(f"{folder.name}: unet/config.json does not tell sample_size; download the folder again.")


def _text_to_image(checkpoint: Checkpoint, dtype_for: DtypeFor) -> Generator:
    _check_size(PipelineFolder(Path(checkpoint.path or "."), checkpoint.config))
    described = read_description(checkpoint.path)
    return TextToImage(
        loading.from_folder(checkpoint, dtype_for),
        described.get("steps", STEPS),
        described.get("guidance_scale", GUIDANCE_SCALE),
        described.get("class_names", ()),
    )


def _xl(checkpoint: Checkpoint, dtype_for: DtypeFor) -> Generator:
    folder = open_folder(checkpoint, XL_CLASSES)
    _check_size(folder)
    configs = loading.read_configs(folder)
    built = networks.build(**configs, source=folder.name)
    channels = built.unet.config.in_channels
    if channels != built.vae.config.latent_channels:
        raise BadCheckpoint(f"{folder.name}: its U-Net has {channels} input channels; base models have 4.")
    if configs["vae"].get("latents_mean") is not None:
        raise BadCheckpoint(f"{folder.name}: its VAE shifts latents (latents_mean), which the pack does not support.")
    with understood(f"{folder.name}: text_encoder_2/{CONFIG}"):
        second = _second_encoder(folder.config("text_encoder_2"))
    words, second_words = folder.tokenizer(), folder.tokenizer("tokenizer_2")
    networks.fill_all(built, loading.read_tensors(folder), dtype_for, folder.name)
    if built.vae.config.get("force_upcast"):
        built.vae.float()  # its values leave the range of half precision
    weights = folder.tensors("text_encoder_2")
    networks.fill_text_encoder(second, weights, f"{folder.name}, second text encoder", built.unet.dtype)
    zero_negative = folder.index.get("force_zeros_for_empty_prompt", True)
    parts = StableDiffusion(*built, words, folder.scheduler_config())
    return StableDiffusionXL(parts, second, second_words, zero_negative)


def _second_encoder(config: Mapping[str, Any]) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    with empty_weights():
        return CLIPTextModelWithProjection(CLIPTextConfig.from_dict(dict(config)))


FAMILIES: Final = tuple(
    Family(pipeline, holds(pipeline), load, write)
    for pipeline, load, write in (
        ("DDPMPipeline", _pixels, partial(tiny.write_unconditional, pipeline="DDPMPipeline")),
        ("DDIMPipeline", _pixels, partial(tiny.write_unconditional, pipeline="DDIMPipeline")),
        ("LDMPipeline", _latents, tiny.write_latent),
        (
            "StableDiffusionPipeline",
            _text_to_image,
            partial(tiny.write_stable_diffusion, pipeline="StableDiffusionPipeline", channels=4),
        ),
        (
            "StableDiffusionInpaintPipeline",
            _text_to_image,
            partial(tiny.write_stable_diffusion, pipeline="StableDiffusionInpaintPipeline", channels=9),
        ),
        ("StableDiffusionXLPipeline", _xl, tiny.write_xl),
    )
)
"""An inpainting model draws with all of the picture masked."""
