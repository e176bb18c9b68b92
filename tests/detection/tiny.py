"""A Grounding DINO of half a million weights beside its vocabulary, random but always the same, in every layout."""

from __future__ import annotations

import json
import re
import tempfile
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from trilemma.models.detection import published
from trilemma.tests import reference_kit

WINDOW = 4
CONFIG = {
    "model_type": "grounding-dino",
    "backbone_config": {
        "model_type": "swin",
        "embed_dim": 16,
        "depths": [1, 1, 2, 1],
        "num_heads": [1, 2, 4, 8],
        "window_size": WINDOW,
        "mlp_ratio": 2.0,
        "out_indices": [2, 3, 4],
    },
    "text_config": {
        "model_type": "bert",
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 1,
        "intermediate_size": 96,
        "vocab_size": 30522,
        "max_position_embeddings": 256,
    },
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 64,
    "num_queries": 30,
    "encoder_n_points": 2,
    "decoder_n_points": 3,
}


@cache
def network() -> torch.nn.Module:
    """The network in transformers' form."""
    from transformers import GroundingDinoConfig, GroundingDinoForObjectDetection

    torch.manual_seed(7)
    model = GroundingDinoForObjectDetection(GroundingDinoConfig.from_dict(json.loads(json.dumps(CONFIG)))).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # transformers initialises box heads and sampling offsets to constants, which hide mistakes.
            if "bbox_embed" in name or "sampling_offsets" in name:
                weight.normal_(std=0.1)
    return model


@cache
def tensors() -> dict[str, torch.Tensor]:
    """Its weights under the names that transformers 4.x saves, indices included."""
    with tempfile.TemporaryDirectory() as folder:
        network().save_pretrained(folder)
        state = load_file(Path(folder) / "model.safetensors")
    tables = [name for name in state if name.endswith("relative_position_bias_table")]
    indices = {table.replace("bias_table", "index"): relative_position_index(WINDOW) for table in tables}
    return {**state, **indices}


def relative_position_index(window: int) -> torch.Tensor:
    """int64 [window^2, window^2]: for two cells of a Swin window, the row of their offset in the bias table."""
    cells = torch.cartesian_prod(torch.arange(window), torch.arange(window))
    offsets = cells[:, None] - cells[None, :] + window - 1
    return offsets[..., 0] * (2 * window - 1) + offsets[..., 1]


def published_tensors() -> dict[str, torch.Tensor]:
    """The same weights under the names of the published files, with everything those hold besides."""
    state = tensors()
    made = {"label_enc.weight": torch.zeros(4, 32), "bert.embeddings.position_ids": torch.arange(256)[None]}
    for name, _, _ in reference_kit.manifest("groundingdino"):
        head = re.fullmatch(r"(?:transformer\.decoder\.)?bbox_embed\.(\d+)\.(.*)", name)
        parts = list(published.convert({name: torch.zeros(3)}))
        if name in published.EXTRAS:
            made[name] = torch.zeros(2)
        elif head and int(head[1]) < CONFIG["decoder_layers"]:
            made[name] = state[f"bbox_embed.0.{head[2]}"].clone()
        elif all(part in state for part in parts) and not head:
            made[name] = torch.cat([state[part] for part in parts])
    return made


def write_folder(folder: Path, state: dict[str, torch.Tensor] | None = None, **config: object) -> Path:
    """A transformers folder with the network; `config` replaces entries of its config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**CONFIG, **config}))
    save_file(tensors() if state is None else state, folder / "model.safetensors")
    return folder
