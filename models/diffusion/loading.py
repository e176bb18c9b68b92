"""Stable Diffusion models from disk: diffusers folders and single files; never code, never the network."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

import torch

from ..errors import BadCheckpoint
from ..files import checkpoints
from ..inpainting.stable_diffusion import Inpainter
from . import networks, schedulers, single_file
from .networks import DtypeFor, Networks

PIPELINES: Final = ("StableDiffusionInpaintPipeline", "StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline")
CLASSES: Final[dict[str, tuple[str, ...]]] = {
    "unet": ("UNet2DConditionModel",),
    "vae": ("AutoencoderKL", "AutoencoderTiny"),
    "text_encoder": ("CLIPTextModel",),
    "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
    "scheduler": schedulers.SUPPORTED,
}
"""Parts that are read, and the classes they may be of; a safety checker and the like are left alone."""

WEIGHTS: Final = ("diffusion_pytorch_model", "model", "pytorch_model")
VARIANTS: Final = (".safetensors", ".fp16.safetensors", ".bin", ".fp16.bin")
TOKENIZER_FILES: Final = (("tokenizer.json",), ("vocab.json", "merges.txt"))
"""Either of these sets is enough: the first is written by transformers 5, the second by all before it."""


def load_inpainter(path: Path, dtype_for: DtypeFor) -> Inpainter:
    """Read a diffusers folder, or a single file of Stable Diffusion 1.x. All networks get one dtype.

    dtype_for: chooses it, given the number of parameters.

    Raises:
        BadCheckpoint: another kind of model, a folder with code, or weights that do not fit exactly.
    """
    if path.is_dir():
        return _load_folder(path, dtype_for)
    parts, tensors = single_file.read(path)
    return assemble(path.name, parts, tensors, single_file.TOKENIZER, dtype_for)


def _load_folder(folder: Path, dtype_for: DtypeFor) -> Inpainter:
    index = read_index(folder, PIPELINES)
    check_parts(folder, index, CLASSES)
    parts = {part: read_json(folder / part / "config.json", folder) for part in Networks._fields}
    parts["scheduler"] = read_json(folder / "scheduler" / "scheduler_config.json", folder)
    for part in ("vae", "scheduler"):
        parts[part]["_class_name"] = index[part][1]
    check_tokenizer(folder / "tokenizer", folder)
    tensors = Networks(*(read_weights(folder / part, folder) for part in Networks._fields))
    return assemble(folder.name, parts, tensors, folder / "tokenizer", dtype_for)


def read_index(folder: Path, pipelines: Collection[str]) -> dict[str, Any]:
    """`model_index.json` of a diffusers folder.

    Raises:
        BadCheckpoint: it holds code, or none of these pipelines.
    """
    code = next(folder.rglob("*.py"), None)
    if code is not None:
        raise BadCheckpoint(
            f"{folder.name}: the folder holds code ({code.relative_to(folder).as_posix()}), which is never run; "
            "choose a model that diffusers' own classes can build."
        )
    index = read_json(folder / "model_index.json", folder)
    if index.get("_class_name") not in pipelines:
        raise BadCheckpoint(
            f"{folder.name}: it holds a {index.get('_class_name')}; this loader reads {', '.join(pipelines)}."
        )
    return index


def check_parts(folder: Path, index: Mapping[str, Any], classes: Mapping[str, Collection[str]]) -> None:
    """Raise BadCheckpoint unless each of these parts is of one of its accepted classes."""
    for part, accepted in classes.items():
        _, found = index.get(part) or (None, None)
        if found not in accepted:
            raise BadCheckpoint(f"{folder.name}: its {part} is a {found}; this loader reads {', '.join(accepted)}.")


def check_tokenizer(tokenizer: Path, folder: Path) -> None:
    """Raise BadCheckpoint unless a folder holds the files of CLIP's tokenizer."""
    if not any(all((tokenizer / name).is_file() for name in files) for files in TOKENIZER_FILES):
        expected = " or ".join(" and ".join(files) for files in TOKENIZER_FILES)
        raise BadCheckpoint(f"{folder.name}: {expected} is missing in {tokenizer.name}/; download the whole folder.")


def assemble(name: str, parts: Mapping[str, Any], tensors: Networks, tokenizer: Path, dtype_for: DtypeFor) -> Inpainter:
    """A model from the configurations of its parts, their state dicts, and its tokenizer's folder."""
    from transformers import CLIPTokenizerFast

    built = networks.build(parts["unet"], parts["vae"], parts["text_encoder"])
    inputs, latents = built.unet.config.in_channels, built.vae.config.latent_channels
    if inputs not in (latents, 2 * latents + 1):
        raise BadCheckpoint(
            f"{name}: its U-Net has {inputs} input channels; base models have {latents}, inpainting models "
            f"{2 * latents + 1}."
        )
    networks.fill_all(built, tensors, dtype_for, name)
    words = CLIPTokenizerFast.from_pretrained(str(tokenizer), local_files_only=True)
    return Inpainter(*built, words, parts["scheduler"])


def read_json(path: Path, folder: Path) -> dict[str, Any]:
    """A configuration of a diffusers folder."""
    name = path.relative_to(folder).as_posix()
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadCheckpoint(f"{folder.name}: {name} is missing; this loader reads whole diffusers folders.") from None
    except ValueError as error:
        raise BadCheckpoint(f"{folder.name}: {name} is not JSON ({error}); download it again.") from error


def read_weights(part: Path, folder: Path) -> dict[str, torch.Tensor]:
    """The state dict of one part of a diffusers folder; full precision is preferred."""
    for variant in VARIANTS:
        for name in WEIGHTS:
            if (part / f"{name}{variant}").is_file():
                return checkpoints.read(part / f"{name}{variant}").tensors
    raise BadCheckpoint(
        f"{folder.name}: no weights in {part.name}/; expected {WEIGHTS[0]} or {WEIGHTS[1]} with one of the endings "
        f"{', '.join(VARIANTS)}."
    )
