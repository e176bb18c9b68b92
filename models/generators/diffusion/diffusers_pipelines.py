"""Diffusion generators from diffusers folders: five pipelines, offline, strict, and never running code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch

from ...diffusion import loading, networks, schedulers
from ...diffusion.networks import DtypeFor, Networks, accepted
from ...errors import BadCheckpoint
from ...inpainting.stable_diffusion import Inpainter
from ..base import Generator
from .ddpm import PixelDiffusion, check_channels
from .latent_diffusion import GUIDANCE_SCALE, STEPS, TextToImage, UnconditionalLatentDiffusion
from .stable_diffusion_xl import StableDiffusionXL

Classes = Mapping[str, tuple[str, ...]]

UNCONDITIONAL_CLASSES: Final[Classes] = {"unet": ("UNet2DModel",), "scheduler": schedulers.SUPPORTED}
LATENT_CLASSES: Final[Classes] = {**UNCONDITIONAL_CLASSES, "vqvae": ("VQModel", "AutoencoderKL")}
XL_CLASSES: Final[Classes] = {
    **loading.CLASSES,
    "text_encoder_2": ("CLIPTextModelWithProjection",),
    "tokenizer_2": loading.CLASSES["tokenizer"],
}
DESCRIPTION: Final = "trilemma.json"
"""What a folder of the pack's own says of itself, as safetensors metadata elsewhere: class_names, steps and
guidance_scale, which cannot be detected."""


def is_pipeline(path: Path) -> bool:
    return (path / "model_index.json").is_file()


def load_pipeline(folder: Path, dtype_for: DtypeFor) -> Generator:
    """Read a diffusers folder, onto the CPU; `dtype_for` is for Stable Diffusion, others become float32.

    Raises:
        BadCheckpoint: another pipeline, a folder with code, parts of other classes, or weights that do not fit exactly.
    """
    index = loading.read_index(folder, tuple(PIPELINES))
    return PIPELINES[index["_class_name"]](folder, index, dtype_for)


def _pixels(folder: Path, index: Mapping[str, Any], dtype_for: DtypeFor) -> Generator:
    loading.check_parts(folder, index, UNCONDITIONAL_CLASSES)
    unet = _network(folder, index, "unet")
    check_channels(unet, folder.name)
    scheduler = _scheduler(folder, index)
    if index["_class_name"] == "DDIMPipeline":
        scheduler["_class_name"] = "DDIMScheduler"
    ancestral = scheduler["_class_name"] == "DDPMScheduler"
    return PixelDiffusion(unet, scheduler, scheduler.get("num_train_timesteps", 1000) if ancestral else STEPS)


def _latents(folder: Path, index: Mapping[str, Any], dtype_for: DtypeFor) -> Generator:
    loading.check_parts(folder, index, LATENT_CLASSES)
    unet, vae = _network(folder, index, "unet"), _network(folder, index, "vqvae")
    given, wanted = unet.config.in_channels, vae.config.latent_channels
    if (given, unet.config.out_channels) != (wanted, wanted):
        raise BadCheckpoint(
            f"{folder.name}: its U-Net has {given} channels, its autoencoder {wanted}; they must agree."
        )
    return UnconditionalLatentDiffusion(unet, vae, _scheduler(folder, index))


def _text_to_image(folder: Path, index: Mapping[str, Any], dtype_for: DtypeFor) -> Generator:
    path = folder / DESCRIPTION
    described = loading.read_json(path, folder) if path.is_file() else {}
    return TextToImage(
        loading.load_inpainter(folder, dtype_for),
        described.get("steps", STEPS),
        described.get("guidance_scale", GUIDANCE_SCALE),
        described.get("class_names", ()),
    )


def _xl(folder: Path, index: Mapping[str, Any], dtype_for: DtypeFor) -> Generator:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizerFast

    loading.check_parts(folder, index, XL_CLASSES)
    configs = {part: loading.read_json(folder / part / "config.json", folder) for part in Networks._fields}
    configs["vae"]["_class_name"] = index["vae"][1]
    built = networks.build(**configs)
    channels = built.unet.config.in_channels
    if channels != built.vae.config.latent_channels:
        raise BadCheckpoint(f"{folder.name}: its U-Net has {channels} input channels; base models have 4.")
    if configs["vae"].get("latents_mean") is not None:
        raise BadCheckpoint(f"{folder.name}: its VAE shifts latents (latents_mean), which the pack does not support.")
    with torch.device("meta"):
        config = loading.read_json(folder / "text_encoder_2" / "config.json", folder)
        second = CLIPTextModelWithProjection(CLIPTextConfig.from_dict(config))
    for part in ("tokenizer", "tokenizer_2"):
        loading.check_tokenizer(folder / part, folder)
    words, second_words = (
        CLIPTokenizerFast.from_pretrained(str(folder / part), local_files_only=True)
        for part in ("tokenizer", "tokenizer_2")
    )
    tensors = Networks(*(loading.read_weights(folder / part, folder) for part in Networks._fields))
    networks.fill_all(built, tensors, dtype_for, folder.name)
    if built.vae.config.get("force_upcast"):
        built.vae.float()  # its values leave the range of half precision
    weights = loading.read_weights(folder / "text_encoder_2", folder)
    networks.fill_text_encoder(second, weights, built.unet.dtype, f"{folder.name}, second text encoder")
    zero_negative = index.get("force_zeros_for_empty_prompt", True)
    return StableDiffusionXL(Inpainter(*built, words, _scheduler(folder, index)), second, second_words, zero_negative)


def _part(folder: Path, name: str) -> Path:
    """Where a part lies; early folders keep one network and its scheduler beside the index."""
    return folder / name if (folder / name).is_dir() else folder


def _scheduler(folder: Path, index: Mapping[str, Any]) -> dict[str, Any]:
    config = loading.read_json(_part(folder, "scheduler") / "scheduler_config.json", folder)
    return {**config, "_class_name": index["scheduler"][1]}


def _network(folder: Path, index: Mapping[str, Any], part: str) -> Any:
    """A network of diffusers of the class in the index, strictly filled."""
    import diffusers

    made = getattr(diffusers, index[part][1])
    config = loading.read_json(_part(folder, part) / "config.json", folder)
    if part == "unet" and config.get("sample_size") is None:
        raise BadCheckpoint(f"{folder.name}: {part}/config.json does not tell sample_size; download the folder again.")
    with torch.device("meta"):
        network = made(**accepted(made, config))
    tensors = networks.todays_attention(loading.read_weights(_part(folder, part), folder))
    networks.fill(network, tensors, torch.float32, f"{folder.name}, {part}")
    return network


PIPELINES: Final[Mapping[str, Callable[[Path, Mapping[str, Any], DtypeFor], Generator]]] = {
    "DDPMPipeline": _pixels,
    "DDIMPipeline": _pixels,
    "LDMPipeline": _latents,
    "StableDiffusionPipeline": _text_to_image,
    "StableDiffusionInpaintPipeline": _text_to_image,
    "StableDiffusionXLPipeline": _xl,
}
"""Pipelines that are read. An inpainting model draws with all of the picture masked."""
