"""A generator from disk, whatever its architecture."""

from __future__ import annotations

from pathlib import Path

import torch

from ..diffusion.networks import DtypeFor
from ..files import checkpoints
from ..files.hashes import model_files
from .autoregressive import pixelcnn_prior, transformer_prior, vq_model, vqvae
from .base import Generator
from .diffusion import ddpm, diffusers_pipelines, stable_diffusion_v1
from .gan import dcgan, mlp_gan, stylegan2
from .registry import Registry
from .vae import autoencoder_kl, autoencoder_tiny, conv_vae, mnist_vae, sigma_vae, taef2

ARCHITECTURES = Registry()
ARCHITECTURES.register(autoencoder_kl.ARCHITECTURE)
ARCHITECTURES.register(autoencoder_tiny.ARCHITECTURE)
ARCHITECTURES.register(conv_vae.ARCHITECTURE)
ARCHITECTURES.register(dcgan.ARCHITECTURE)
ARCHITECTURES.register(ddpm.ARCHITECTURE)
ARCHITECTURES.register(mlp_gan.ARCHITECTURE)
ARCHITECTURES.register(mnist_vae.ARCHITECTURE)
ARCHITECTURES.register(pixelcnn_prior.ARCHITECTURE)
ARCHITECTURES.register(sigma_vae.ARCHITECTURE)
ARCHITECTURES.register(stable_diffusion_v1.ARCHITECTURE)
ARCHITECTURES.register(stylegan2.ARCHITECTURE)
ARCHITECTURES.register(taef2.ARCHITECTURE)
ARCHITECTURES.register(transformer_prior.ARCHITECTURE)
ARCHITECTURES.register(vq_model.ARCHITECTURE)
ARCHITECTURES.register(vqvae.ARCHITECTURE)


def full_precision(parameters: int) -> torch.dtype:
    """float32, whatever the number of parameters."""
    return torch.float32


def load_generator(path: Path, dtype_for: DtypeFor = full_precision) -> Generator:
    """Read a checkpoint file, a folder that holds `model.safetensors`, or a diffusers folder.

    dtype_for: chooses the dtype of Stable Diffusion's networks, given the number of parameters; all others are float32.
    Weights are on the CPU.

    Raises:
        BadCheckpoint: the file is broken, or of no architecture that the pack knows.
    """
    if diffusers_pipelines.is_pipeline(path):
        generator = diffusers_pipelines.load_pipeline(path, dtype_for)
        generator.files = model_files(path)
        return generator
    file = path / "model.safetensors" if path.is_dir() else path
    generator = ARCHITECTURES.load(checkpoints.read(file), path.name, dtype_for)
    generator.files = (file,)
    return generator
