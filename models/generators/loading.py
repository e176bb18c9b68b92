"""A generator from disk, whatever its family."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..errors import BadCheckpoint
from ..families import Family, Registry
from ..weights import DtypeFor, full_precision
from .base import Generator


def check_channels(generator: Generator, what: str) -> None:
    """Raise BadCheckpoint unless its pictures are grey, RGB, or of a GAN RGB with alpha."""
    descriptor = generator.descriptor
    known = (1, 3, 4) if descriptor.family == "gan" else (1, 3)
    if descriptor.channels not in known:
        alpha = " or 4 (RGB with alpha)" if 4 in known else ""
        raise BadCheckpoint(
            f"{what}: its pictures have {descriptor.channels} channels; of {descriptor.architecture} the pack draws "
            f"those with 1 (grey), 3 (RGB){alpha}. Choose another file."
        )


def _families() -> tuple[Family[Generator], ...]:
    from .autoregressive import (
        dalle_dvae,
        feature_prior,
        image_gpt,
        mindalle,
        pixelcnn_prior,
        row_lstm_prior,
        taming_transformer,
        transformer_prior,
        vq_model,
        vqgan,
        vqvae,
    )
    from .diffusion import (
        adm,
        ddpm,
        denoising_diffusion_gan,
        diffusers_pipelines,
        pipeline_families,
        stable_diffusion_files,
    )
    from .diffusion.dit import generator as dit
    from .diffusion.edm import generator as edm
    from .diffusion.glide import generator as glide
    from .diffusion.ldm import generator as ldm
    from .gan import biggan_deep, dcgan, mlp_gan, stylegan1, stylegan2, stylegan3
    from .gan.stylegan2 import other_layouts
    from .gan.text_to_image import families as text_to_image
    from .gan.text_to_image import stackgan
    from .vae import autoencoder_kl, autoencoder_tiny, conv_vae, mnist_vae, sigma_vae, taef2

    return (
        adm.FAMILY,
        autoencoder_kl.FAMILY,
        autoencoder_tiny.FAMILY,
        biggan_deep.FAMILY,
        conv_vae.FAMILY,
        dalle_dvae.FAMILY,
        dcgan.FAMILY,
        ddpm.FAMILY,
        denoising_diffusion_gan.FAMILY,
        dit.FAMILY,
        edm.FAMILY,
        feature_prior.FAMILY,
        glide.FAMILY,
        image_gpt.FAMILY,
        *ldm.FAMILIES,
        mindalle.FAMILY,
        mlp_gan.FAMILY,
        mnist_vae.FAMILY,
        pixelcnn_prior.FAMILY,
        row_lstm_prior.FAMILY,
        sigma_vae.FAMILY,
        stackgan.FAMILY,
        *stable_diffusion_files.FAMILIES,
        stylegan1.FAMILY,
        stylegan2.FAMILY,
        *other_layouts.FAMILIES,
        stylegan3.FAMILY,
        taef2.FAMILY,
        taming_transformer.FAMILY,
        *text_to_image.FAMILIES,
        transformer_prior.FAMILY,
        vq_model.FAMILY,
        vqgan.FAMILY,
        vqvae.FAMILY,
        *diffusers_pipelines.FAMILIES,
        *pipeline_families.FAMILIES,
    )


GENERATORS: Final[Registry[Generator]] = Registry("generator", _families, check_channels)


def load_generator(path: Path, dtype_for: DtypeFor = full_precision) -> Generator:
    """Read a checkpoint file, a folder that holds `model.safetensors`, or a diffusers folder.

    dtype_for: chooses the dtype of networks that are worth half precision; all others are float32. Weights are on the
    CPU.

    Raises:
        MissingFile, BadCheckpoint: see `Registry.load`.
    """
    return GENERATORS.load(path, dtype_for)
