"""A Grounding DINO of half a million weights beside its vocabulary, random but always the same, in every layout."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from trilemma.models.detection import grounding_dino_names
from trilemma.models.detection.caption_folders import TINY, random_network
from trilemma.models.detection.grounding_dino import KIND
from trilemma.models.detection.grounding_dino_names import relative_position_index

CONFIG: dict[str, Any] = {"model_type": KIND.model_type, **TINY}


@cache
def network() -> torch.nn.Module:
    """The network in transformers' form."""
    return random_network(KIND)


@cache
def tensors() -> dict[str, torch.Tensor]:
    """Its weights under the names that transformers 4.x saves, indices included."""
    with tempfile.TemporaryDirectory() as folder:
        network().save_pretrained(folder)
        state = load_file(Path(folder) / "model.safetensors")
    tables = [name for name in state if name.endswith("relative_position_bias_table")]
    window = TINY["backbone_config"]["window_size"]
    return {**state, **{name.replace("bias_table", "index"): relative_position_index(window) for name in tables}}


def published_tensors() -> dict[str, torch.Tensor]:
    """The same weights under the names of the published files, with everything those hold besides."""
    pooler = {f"bert.pooler.dense.{part}": torch.zeros(2) for part in ("weight", "bias")}
    extras = {"label_enc.weight": torch.zeros(4, 32), "bert.embeddings.position_ids": torch.arange(256)[None]}
    return {**grounding_dino_names.revert(tensors(), TINY), **pooler, **extras}


def write_folder(folder: Path, state: dict[str, torch.Tensor] | None = None, **config: object) -> Path:
    """A transformers folder with the network; `config` replaces entries of its config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**CONFIG, **config}))
    save_file(tensors() if state is None else state, folder / "model.safetensors")
    return folder
