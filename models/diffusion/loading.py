"""Stable Diffusion models from disk: diffusers folders and single files, whatever they are to be used for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ..errors import BadCheckpoint
from ..files.checkpoints import Checkpoint
from ..weights import DtypeFor, Tensors
from . import networks, prediction, samplers, single_file
from .folders import PipelineFolder, open_folder
from .networks import Networks
from .original_layout import V2, XL
from .stable_diffusion import SecondEncoder, StableDiffusion

CELL: Final = 8
"""Pixels to a latent cell in single files, along a side."""


class Second(NamedTuple):
    """What Stable Diffusion XL's second text encoder is filled with and asked by; see `SecondEncoder`."""

    tensors: Tensors
    tokenizer: Any
    zero_negative: bool = True


CLASSES: Final[Mapping[str, tuple[str, ...]]] = {
    "unet": ("UNet2DConditionModel",),
    "vae": ("AutoencoderKL", "AutoencoderTiny"),
    "text_encoder": ("CLIPTextModel",),
    "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
    "scheduler": samplers.SUPPORTED,
}


XL_CLASSES: Final[Mapping[str, tuple[str, ...]]] = {
    **CLASSES,
    "text_encoder_2": ("CLIPTextModelWithProjection",),
    "tokenizer_2": CLASSES["tokenizer"],
}
XL_PIPELINES: Final = (
    "StableDiffusionXLInpaintPipeline",
    "StableDiffusionXLPipeline",
    "StableDiffusionXLImg2ImgPipeline",
)
PADDING: Final = "!"
"""What OpenCLIP fills prompts up with: its token 0."""
CELLS_768: Final = 96
_RESOLUTION: Final = re.compile(r"(\d+)x(\d+)")


def from_folder(checkpoint: Checkpoint, dtype_for: DtypeFor) -> StableDiffusion:
    """Read a diffusers folder of Stable Diffusion 1.x, 2.x or XL. All networks get one dtype.

    Raises:
        MissingFile: a file is not there.
        BadCheckpoint: a folder with code, parts of other classes, or weights that do not fit exactly.
    """
    is_xl = checkpoint.config.get("_class_name") in XL_PIPELINES
    folder = open_folder(checkpoint, XL_CLASSES if is_xl else CLASSES)
    if is_xl and folder.index.get("requires_aesthetics_score"):
        raise BadCheckpoint(
            f"{folder.name}: it is a refiner, which takes scores for beauty and finishes what a base model has begun; "
            "choose the base model."
        )
    parts = {**read_configs(folder), "scheduler": folder.scheduler_config()}
    told = checkpoint.metadata.get(prediction.TOLD)
    if told:
        parts["scheduler"] |= {"prediction_type": told}
    tokenizer, second = folder.tokenizer(), None
    if is_xl:
        parts["text_encoder_2"] = folder.config("text_encoder_2")
        zero_negative = folder.index.get("force_zeros_for_empty_prompt", True)
        second = Second(folder.tensors("text_encoder_2"), folder.tokenizer("tokenizer_2"), zero_negative)
    return assemble(folder.name, parts, read_tensors(folder), tokenizer, dtype_for, second)


def from_single_file(checkpoint: Checkpoint, dtype_for: DtypeFor) -> StableDiffusion:
    """Read a single file of Stable Diffusion 1.x, 2.x or XL, as `single_file.detect` accepts. All networks get one
    dtype.

    Raises:
        BadCheckpoint: a tensor that no part accounts for, weights that do not fit exactly, or nothing tells what the
            network foresees.
    """
    version = single_file.version_of(checkpoint.tensors)
    base = inputs_of(checkpoint) == single_file.LATENT_CHANNELS
    # Of version 2 there are base models of both kinds; its inpainting model foresees noise.
    foresees = prediction.of_file(checkpoint, None if version is V2 and base else prediction.NOISE)
    parts, tensors = single_file.convert(checkpoint.tensors, checkpoint.name)
    parts["scheduler"] |= foresees
    if version is V2 and base and foresees["prediction_type"] == prediction.VELOCITY:
        parts["unet"]["sample_size"] = CELLS_768
    told = _RESOLUTION.fullmatch(checkpoint.metadata.get("modelspec.resolution", ""))
    if told is not None:
        parts["unet"]["sample_size"] = max(int(told[1]), int(told[2]), CELL) // CELL
    second = None
    if version is XL:
        second = Second(single_file.second_encoder(checkpoint.tensors), tokenizer_of(PADDING))
    words = tokenizer_of(PADDING) if version is V2 else tokenizer_of()
    return assemble(checkpoint.name, parts, tensors, words, dtype_for, second)


def inputs_of(checkpoint: Checkpoint) -> int:
    """Channels that the U-Net of a single file takes; 0 where its first layer is none."""
    shape = checkpoint.tensors[single_file.FIRST_LAYER].shape
    return shape[1] if len(shape) > 1 else 0


def tokenizer_of(padding: str | None = None) -> Any:
    """CLIP's tokenizer, which the pack brings. padding: the token that fills prompts up, where it is not the end."""
    from transformers import CLIPTokenizerFast

    settings = {} if padding is None else {"pad_token": padding}
    return CLIPTokenizerFast.from_pretrained(str(single_file.TOKENIZER), local_files_only=True, **settings)


def read_configs(folder: PipelineFolder) -> dict[str, dict[str, Any]]:
    """The configurations of the networks, by part."""
    return {part: folder.config(part) for part in Networks._fields}


def read_tensors(folder: PipelineFolder) -> Networks:
    """Their state dicts."""
    return Networks(*(folder.tensors(part) for part in Networks._fields))


def assemble(
    name: str,
    parts: Mapping[str, Any],
    tensors: Networks,
    tokenizer: Any,
    dtype_for: DtypeFor,
    second: Second | None = None,
) -> StableDiffusion:
    """A model from the configurations of its parts, their state dicts, and its tokenizer. name: as messages begin.
    second: of XL, where `parts` has its configuration as text_encoder_2."""
    built = networks.build(parts["unet"], parts["vae"], parts["text_encoder"], source=name)
    inputs, latents = built.unet.config.in_channels, built.vae.config.latent_channels
    if inputs not in (latents, 2 * latents + 1):
        raise BadCheckpoint(
            f"{name}: its U-Net has {inputs} input channels; base models have {latents}, inpainting models "
            f"{2 * latents + 1}."
        )
    if parts["vae"].get("latents_mean") is not None:
        raise BadCheckpoint(f"{name}: its VAE shifts latents (latents_mean), which the pack does not support.")
    further = None if second is None else networks.build_second(parts["text_encoder_2"], name)
    every = built if further is None else (*built, further)
    dtype = dtype_for(sum(parameter.numel() for network in every for parameter in network.parameters()))
    networks.fill_all(built, tensors, dtype, name)
    if second is not None and built.vae.config.get("force_upcast"):
        built.vae.float()  # its values leave the range of half precision
    if second is None or further is None:
        return StableDiffusion(*built, tokenizer, parts["scheduler"])
    networks.fill_text_encoder(further, second.tensors, f"{name}, second text encoder", dtype)
    own = SecondEncoder(further, second.tokenizer, second.zero_negative)
    return StableDiffusion(*built, tokenizer, parts["scheduler"], own)
