"""The parts of diffusers' pipelines: networks strictly filled, tokenizers and schedulers, from a folder alone."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from typing import Any, Final

import torch
from torch import nn

from ...diffusion.folders import PipelineFolder
from ...diffusion.networks import accepted, fill_text_encoder, todays_attention
from ...errors import BadCheckpoint
from ...files.folders import CONFIG, INDEX, read_json, understood
from ...weights import DtypeFor, Tensors, empty_parameters, fill

CLIP: Final = ("CLIPTokenizer", "CLIPTokenizerFast")
T5: Final = ("T5Tokenizer", "T5TokenizerFast")
GLM: Final = ("PreTrainedTokenizerFast", "PreTrainedTokenizer", "TokenizersBackend")
TOKENIZERS: Final[Mapping[Collection[str], str]] = {
    CLIP: "CLIPTokenizerFast",
    T5: "T5TokenizerFast",
    GLM: "PreTrainedTokenizerFast",
}
"""Classes that an index names, and the one that reads their files."""
CLIP_TEXT: Final = ("CLIPTextModel", "CLIPTextModelWithProjection")
PROJECTION: Final = "UnCLIPTextProjModel"
POSITION_IDS: Final = ".position_ids"
"""What older files keep of CLIP's image encoder beside its weights."""
AUTOENCODERS: Final = ("AutoencoderKL", "VQModel")


def read_parts(folder: PipelineFolder, parts: Collection[str], dtype_for: DtypeFor) -> dict[str, Any]:
    """Networks, tokenizers and schedulers of a folder, by name; networks on the CPU, for inference, in one dtype but
    for layers that half precision breaks.

    Raises:
        MissingFile, BadCheckpoint: a file is missing, makes no sense, or its tensors do not fit exactly.
    """
    made: dict[str, Any] = {}
    for part in parts:
        named = folder.class_of(part) or ""
        if "tokenizer" in part:
            reader = next(reader for names, reader in TOKENIZERS.items() if named in names)
            made[part] = folder.tokenizer(part, reader)
        elif "scheduler" in part:
            made[part] = _scheduler(folder, part)
        else:
            made[part] = _empty(folder, part)
    networks = {part: each for part, each in made.items() if isinstance(each, nn.Module)}
    dtype = dtype_for(sum(value.numel() for each in networks.values() for value in each.parameters()))
    for part, network in networks.items():
        _fill(folder, part, network, dtype)
    for part, tokenizer in made.items():
        encoder = networks.get(part.replace("tokenizer", "text_encoder"))
        positions = getattr(encoder.config, "max_position_embeddings", None) if encoder is not None else None
        if folder.class_of(part) in CLIP and positions is not None:
            # Prompts are filled up to this length.
            tokenizer.model_max_length = min(tokenizer.model_max_length, positions)
    return made


def _empty(folder: PipelineFolder, part: str) -> nn.Module:
    """A network without weights, of diffusers or transformers as the index says."""
    import diffusers
    import transformers

    config = folder.config(part)
    named = config.pop("_class_name")
    with empty_parameters(), understood(f"{folder.name}: {part}/{CONFIG}"):
        if hasattr(diffusers, named) or named == PROJECTION:
            made = text_projection() if named == PROJECTION else getattr(diffusers, named)
            return made(**accepted(made, config))
        made = getattr(transformers, named)
        return made(made.config_class.from_dict(config))


def text_projection() -> Any:
    """unCLIP's UnCLIPTextProjModel, which diffusers has moved to where it keeps what is old."""
    import diffusers

    return getattr(importlib.import_module(diffusers.UnCLIPPipeline.__module__.rpartition(".")[0]), PROJECTION)


def _fill(folder: PipelineFolder, part: str, network: nn.Module, dtype: torch.dtype) -> None:
    tensors, what, named = folder.tensors(part), f"{folder.name}, {part}", type(network).__name__
    if named in AUTOENCODERS:
        fill(network, todays_attention(tensors), what, dtype)
        if dtype == torch.float16 and network.config.get("force_upcast"):  # type: ignore[union-attr] # of diffusers
            network.float()  # its values leave the range of float16
    elif named in CLIP_TEXT:
        fill_text_encoder(network, tensors, what, dtype)
    else:
        _fill_shared(network, tensors, what, dtype)
        if dtype == torch.float16:
            for name, layer in network.named_modules():
                # transformers names layers whose values leave the range of float16: the last of T5's feed-forwards.
                if name.rpartition(".")[2] in (getattr(network, "_keep_in_fp32_modules", None) or ()):
                    layer.float()


def _fill_shared(network: nn.Module, tensors: Tensors, what: str, dtype: torch.dtype) -> None:
    """`fill`, where files hold but once what two layers share."""
    by_parameter: dict[int, list[str]] = {}
    for name, value in network.named_parameters(remove_duplicate=False):
        by_parameter.setdefault(id(value), []).append(name)
    shared = [names for names in by_parameter.values() if len(names) > 1]
    found = {name: value for name, value in tensors.items() if not name.endswith(POSITION_IDS)}
    for names in shared:
        there = [name for name in names if name in tensors]
        found |= {name: tensors[there[0]] for name in names if there}
    fill(network, found, what, dtype)
    for first, *others in shared:
        for name in others:
            place, _, own = name.rpartition(".")
            network.get_submodule(place).register_parameter(own, network.get_parameter(first))


def _scheduler(folder: PipelineFolder, part: str) -> Any:
    import diffusers

    made = getattr(diffusers, folder.class_of(part) or "")
    path = folder.folder / part / "scheduler_config.json"
    config = read_json(path)
    with understood(f"{folder.name}: {part}/{path.name}"):
        return made(**accepted(made, config))


def parts_of(folder: PipelineFolder, known: Collection[str], optional: Collection[str]) -> list[str]:
    """Those of the known parts that the folder has.

    Raises:
        BadCheckpoint: one that is not optional is missing.
    """
    there = [part for part in known if folder.class_of(part) is not None]
    missing = [part for part in known if part not in there and part not in optional]
    if missing:
        raise BadCheckpoint(f"{folder.name}: {INDEX} names no {missing[0]}; download the whole folder.")
    return there
