"""Folders in transformers' layout of detectors that read captions: `config.json`, weights, vocabulary, input size."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from ..errors import BadCheckpoint
from ..families import Family
from ..files.checkpoints import Checkpoint
from ..files.folders import WEIGHTS, read_description, read_json, understood, write_json
from . import preprocessing
from .base import Detector
from .caption_detector import CaptionDetector, Kind, assemble
from .captions import VOCABULARY, read_vocabulary
from .heads import UNREAD
from .pretrained import network_class

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PREPROCESSOR: Final = "preprocessor_config.json"


def folder_family(kind: Kind) -> Family[Detector]:
    """The family of the folders of a kind."""
    return Family(
        name=f"{kind.name} in transformers' layout",
        detect=lambda checkpoint: checkpoint.config.get("model_type") == kind.model_type,
        load=lambda checkpoint, dtype_for: load(kind, checkpoint),
        tiny=lambda folder: write_tiny(kind, folder),
    )


def load(kind: Kind, checkpoint: Checkpoint) -> CaptionDetector:
    """The detector of a folder. A `vocab.txt` and a `preprocessor_config.json` are read where they are there; else
    bert-base-uncased's words and 800 / 1333 pixels stand for them.

    Raises:
        BadCheckpoint, CannotDo: as `assemble` does; a backbone that would have to be fetched; an unknown input size.
    """
    folder, config = checkpoint.path, checkpoint.config
    assert folder is not None
    if not isinstance(config.get("backbone_config"), Mapping):
        raise BadCheckpoint(
            f"{folder.name}: config.json only names its backbone ({config.get('backbone')!r}), which would have to be "
            "fetched; use a folder whose config.json holds a backbone_config."
        )
    vocabulary = folder / "vocab.txt"
    if vocabulary.is_file():
        with understood(f"{folder.name}: {vocabulary.name}"):
            read_vocabulary(vocabulary)
    detector = assemble(
        kind,
        config,
        checkpoint.tensors,
        folder.name,
        vocabulary if vocabulary.is_file() else VOCABULARY,
        preprocessing.input_size(read_json(folder / PREPROCESSOR) if (folder / PREPROCESSOR).is_file() else {}),
    )
    detector.class_names = tuple(read_description(folder).get("class_names", ()))
    return detector


TINY: Final[dict[str, Any]] = {
    "backbone_config": {
        "model_type": "swin",
        "embed_dim": 16,
        "depths": [1, 1, 2, 1],
        "num_heads": [1, 2, 4, 8],
        "window_size": 4,
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
    "num_feature_levels": 4,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 64,
    "num_queries": 30,
    "encoder_n_points": 2,
    "decoder_n_points": 3,
}
"""A network of half a million weights beside its vocabulary, whose ids of full stop and the like transformers fixes."""


def random_network(kind: Kind, seed: int = 7, **config: Any) -> PreTrainedModel:
    """A TINY network with random weights; `config` replaces entries of its configuration."""
    network = network_class(kind.network, kind.since)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        # Through JSON: transformers takes parts out of the dictionaries that it is given.
        made = network(network.config_class.from_dict(json.loads(json.dumps({**TINY, **config}))))
        for name, weight in made.named_parameters():
            # transformers initialises heads and sampling offsets to constants, which hide mistakes.
            if any(part in name for part in ("bbox_embed", "class_embed", "sampling_offsets")):
                weight.normal_(std=0.1)
    return made.train(False)


def save(network: PreTrainedModel, folder: Path) -> Path:
    """Write a network as transformers does, without what no one reads, and give the folder."""
    from safetensors.torch import load_file, save_file

    network.save_pretrained(folder)
    path = folder / WEIGHTS[0]
    save_file({name: tensor for name, tensor in load_file(path).items() if UNREAD not in name}, path)
    return folder


def write_tiny(kind: Kind, folder: Path, **config: Any) -> Path:
    """Write a `random_network` and its input size into a folder in this folder, and give it."""
    made = save(random_network(kind, **config), folder / "tiny")
    write_json(made / PREPROCESSOR, {"size": {"shortest_edge": 128, "longest_edge": 192}})
    return made
