"""Stable Diffusion models from disk: diffusers folders and single files, whatever they are to be used for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..errors import BadCheckpoint
from ..files.checkpoints import Checkpoint
from ..weights import DtypeFor
from . import networks, samplers, single_file
from .folders import PipelineFolder, open_folder
from .networks import Networks
from .stable_diffusion import StableDiffusion

CLASSES: Final[Mapping[str, tuple[str, ...]]] = {
    "unet": ("UNet2DConditionModel",),
    "vae": ("AutoencoderKL", "AutoencoderTiny"),
    "text_encoder": ("CLIPTextModel",),
    "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
    "scheduler": samplers.SUPPORTED,
}


def from_folder(checkpoint: Checkpoint, dtype_for: DtypeFor) -> StableDiffusion:
    """Read a diffusers folder. All networks get one dtype.

    Raises:
        MissingFile: a file is not there.
        BadCheckpoint: a folder with code, parts of other classes, or weights that do not fit exactly.
    """
    folder = open_folder(checkpoint, CLASSES)
    parts = {**read_configs(folder), "scheduler": folder.scheduler_config()}
    tokenizer = folder.tokenizer()
    return assemble(folder.name, parts, read_tensors(folder), tokenizer, dtype_for)


def from_single_file(checkpoint: Checkpoint, dtype_for: DtypeFor) -> StableDiffusion:
    """Read a single file of Stable Diffusion 1.x, as `single_file.detect` accepts. All networks get one dtype.

    Raises:
        BadCheckpoint: a tensor that no part accounts for, or weights that do not fit exactly.
    """
    from transformers import CLIPTokenizerFast

    parts, tensors = single_file.convert(checkpoint.tensors, checkpoint.name)
    tokenizer = CLIPTokenizerFast.from_pretrained(str(single_file.TOKENIZER), local_files_only=True)
    return assemble(checkpoint.name, parts, tensors, tokenizer, dtype_for)


def read_configs(folder: PipelineFolder) -> dict[str, dict[str, Any]]:
    """The configurations of the networks, by part."""
    return {part: folder.config(part) for part in Networks._fields}


def read_tensors(folder: PipelineFolder) -> Networks:
    """Their state dicts."""
    return Networks(*(folder.tensors(part) for part in Networks._fields))


def assemble(
    name: str, parts: Mapping[str, Any], tensors: Networks, tokenizer: Any, dtype_for: DtypeFor
) -> StableDiffusion:
    """A model from the configurations of its parts, their state dicts, and its tokenizer. name: as messages begin."""
    built = networks.build(parts["unet"], parts["vae"], parts["text_encoder"], name)
    inputs, latents = built.unet.config.in_channels, built.vae.config.latent_channels
    if inputs not in (latents, 2 * latents + 1):
        raise BadCheckpoint(
            f"{name}: its U-Net has {inputs} input channels; base models have {latents}, inpainting models "
            f"{2 * latents + 1}."
        )
    networks.fill_all(built, tensors, dtype_for, name)
    return StableDiffusion(*built, tokenizer, parts["scheduler"])
