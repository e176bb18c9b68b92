"""LoRA files: which tensors belong together, in the layouts of kohya-ss, LyCORIS, diffusers and PEFT."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from ...errors import BadCheckpoint
from ...files import checkpoints, signatures
from ...files.checkpoints import Checkpoint
from ...files.folders import read_json
from ...texts import parsed_json
from ...weights import some
from .deltas import Module

PEFT_CONFIG: Final = "adapter_config.json"
PEFT_METADATA: Final = "lora_adapter_metadata"
"""Beside a file, and in the metadata of one that diffusers saved: the alphas that PEFT keeps nowhere else."""

_SIDES: Final = {"A": "down", "B": "up", "down": "down", "up": "up", "mid": "mid"}
_KINDS: Final = (
    re.compile(r"(?P<module>.+)\.lora_(?P<side>[AB])(\.\w+)?(\.weight)?"),
    re.compile(r"(?P<module>.+)\.lora_(?P<side>down|up|mid)\.weight"),
    re.compile(r"(?P<module>.+)\.lora(_linear_layer)?\.(?P<side>down|up)\.weight"),
    re.compile(r"(?P<module>.+)_lora\.(?P<side>down|up)\.weight"),
    re.compile(r"(?P<module>.+)\.(?P<kind>(hada_w[12]_[ab]|hada_t[12]|lokr_w[12](_[ab])?|lokr_t[12]))"),
    re.compile(r"(?P<module>.+)\.(?P<kind>alpha|dora_scale|diff|diff_b)"),
    re.compile(r"(?P<module>.+)\.lora_(?P<dora>magnitude_vector)(\.\w+)?(\.weight)?"),
    re.compile(r"(?P<module>.+)\.(?P<norm>[wb]_norm)"),
)
_NORMS: Final = {"w_norm": "diff", "b_norm": "diff_b"}
_WRAPPER: Final = "base_model.model."


class LoRA(NamedTuple):
    """A LoRA file. name: of the file. modules: by their names in it. told: what its metadata says of its base, or
    empty."""

    name: str
    modules: Mapping[str, Module]
    told: str = ""
    path: Path | None = None


def read(path: Path) -> LoRA:
    """The LoRA in a file.

    Raises:
        MissingFile: there is none.
        BadCheckpoint: it holds something else (the message says what), or a kind of LoRA that the pack does not lay
            over models.
    """
    checkpoint = checkpoints.read(path)
    modules: dict[str, dict[str, torch.Tensor]] = {}
    strange = []
    for name, tensor in checkpoint.tensors.items():
        found = next((match for pattern in _KINDS if (match := pattern.fullmatch(name)) is not None), None)
        if found is None:
            strange.append(name)
            continue
        module = found["module"].removeprefix(_WRAPPER)
        # A copy: trainers write over the file, in which the tensors still lie.
        modules.setdefault(module, {})[_kind(found.groupdict())] = tensor.clone()
    if strange or not modules:
        raise BadCheckpoint(_refusal(checkpoint, strange))
    for module, alpha in _alphas(checkpoint, modules).items():
        modules[module]["alpha"] = torch.tensor(alpha)
    told = checkpoint.metadata.get("ss_base_model_version") or checkpoint.metadata.get("modelspec.architecture") or ""
    return LoRA(path.name, modules, told, path)


def _kind(found: Mapping[str, str | None]) -> str:
    if side := found.get("side"):
        return _SIDES[side]
    if norm := found.get("norm"):
        return _NORMS[norm]
    return "dora_scale" if found.get("dora") else str(found["kind"])


def _refusal(checkpoint: Checkpoint, strange: list[str]) -> str:
    names = list(checkpoint.tensors)
    found = signatures.recognise(names)
    if found is not None and signatures.LORA not in found.readers:
        return f"{checkpoint.name.replace('model', 'lora', 1)} holds {found.what}; {found.where}. Here LoRAs are read."
    if found is not None:
        return (
            f"{checkpoint.name.replace('model', 'lora', 1)} holds {len(strange)} of {len(names)} tensors that are no "
            f"part of a LoRA, LoCon, LoHa, LoKr or DoRA ({some(strange)}); of those kinds alone files are laid over "
            "models."
        )
    return (
        f"{checkpoint.name.replace('model', 'lora', 1)} is no LoRA that the pack knows (its first tensors are "
        f"{some(sorted(names))}); choose a file of models/loras."
    )


def _alphas(checkpoint: Checkpoint, modules: Mapping[str, Module]) -> dict[str, float]:
    """Of modules without one of their own, what PEFT's settings say, in the metadata or beside."""
    path = checkpoint.path
    beside = None if path is None else path.parent / PEFT_CONFIG
    if PEFT_METADATA in checkpoint.metadata:
        try:
            settings = parsed_json(checkpoint.metadata[PEFT_METADATA])
        except ValueError as error:
            raise BadCheckpoint(
                f"{checkpoint.name}: its metadata {PEFT_METADATA!r} is damaged ({error}); get the file again."
            ) from error
    elif beside is not None and beside.is_file() and path is not None and path.name.startswith("adapter_model"):
        settings = read_json(beside)
    else:
        return {}
    found = {}
    for name, module in modules.items():
        rank = module["down"].shape[0] if "down" in module else 0
        alpha = _told_alpha(settings, name, rank) if rank and "alpha" not in module else None
        if alpha is not None:
            found[name] = alpha
    return found


def _told_alpha(settings: Mapping[str, Any], name: str, rank: int) -> float | None:
    """diffusers writes `unet.lora_alpha`, PEFT itself `lora_alpha`; patterns name single modules."""
    part = name.partition(".")[0]
    own = {key.removeprefix(f"{part}."): value for key, value in settings.items() if key.startswith(f"{part}.")}
    told = own or settings
    alpha = told.get("lora_alpha")
    for pattern, value in (told.get("alpha_pattern") or {}).items():
        if re.fullmatch(rf"(.*\.)?({pattern})", name):
            alpha = value
    if not isinstance(alpha, (int, float)):
        return None
    return alpha * math.sqrt(rank) if told.get("use_rslora") else float(alpha)
