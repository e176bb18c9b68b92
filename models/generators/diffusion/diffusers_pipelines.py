"""Diffusion generators from diffusers folders: pipelines, offline, strict, and never running code."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final

from ... import imagenet
from ...diffusion import loading, samplers, tiny
from ...diffusion.folders import Classes, PipelineFolder, holds, open_folder
from ...errors import BadCheckpoint
from ...families import Family
from ...files.checkpoints import Checkpoint
from ...files.folders import read_description
from ...weights import DtypeFor
from ..base import Generator
from .ddpm import check_channels, of_scheduler
from .dit.generator import DiTPipeline
from .latent_diffusion import STEPS, TextToImage, UnconditionalLatentDiffusion

UNCONDITIONAL_CLASSES: Final[Classes] = {"unet": ("UNet2DModel",), "scheduler": samplers.SUPPORTED}
LATENT_CLASSES: Final[Classes] = {**UNCONDITIONAL_CLASSES, "vqvae": ("VQModel", "AutoencoderKL")}
TRANSFORMER_CLASSES: Final[Classes] = {
    "transformer": ("DiTTransformer2DModel", "Transformer2DModel"),
    "vae": ("AutoencoderKL",),
    "scheduler": samplers.SUPPORTED,
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


def _transformer(checkpoint: Checkpoint, dtype_for: DtypeFor) -> Generator:
    folder = open_folder(checkpoint, TRANSFORMER_CLASSES)
    # Its class of before 0.30 builds many networks, this one among them.
    index = {**folder.index, "transformer": ["diffusers", "DiTTransformer2DModel"]}
    transformer, vae = folder._replace(index=index).network("transformer", computes=True), folder.network("vae")
    transformer.to(dtype_for(sum(parameter.numel() for parameter in transformer.parameters())))
    given, wanted = transformer.config.in_channels, vae.config.latent_channels
    if given != wanted:
        raise BadCheckpoint(
            f"{folder.name}: its transformer has {given} channels, its autoencoder {wanted}; they must agree."
        )
    names = imagenet.names_of(transformer.config.num_embeds_ada_norm)
    return DiTPipeline(folder.index["_class_name"], transformer, vae, names, folder.scheduler_config())


def _text_to_image(checkpoint: Checkpoint, dtype_for: DtypeFor) -> Generator:
    _check_size(PipelineFolder(Path(checkpoint.path or "."), checkpoint.config))
    described = read_description(checkpoint.path)
    return TextToImage(
        loading.from_folder(checkpoint, dtype_for),
        described.get("steps", STEPS),
        described.get("guidance_scale"),
        described.get("class_names", ()),
    )


FAMILIES: Final = tuple(
    Family(pipeline, holds(pipeline), load, write)
    for pipeline, load, write in (
        ("DDPMPipeline", _pixels, partial(tiny.write_unconditional, pipeline="DDPMPipeline")),
        ("DDIMPipeline", _pixels, partial(tiny.write_unconditional, pipeline="DDIMPipeline")),
        ("LDMPipeline", _latents, tiny.write_latent),
        ("DiTPipeline", _transformer, tiny.write_transformer),
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
        ("StableDiffusionXLPipeline", _text_to_image, tiny.write_xl),
        (
            "StableDiffusionXLInpaintPipeline",
            _text_to_image,
            partial(tiny.write_xl, pipeline="StableDiffusionXLInpaintPipeline", channels=9),
        ),
    )
)
"""An inpainting model draws with all of the picture masked."""
