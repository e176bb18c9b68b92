"""OmDet-Turbo (Zhao et al. 2024, arXiv:2403.06892), in transformers' layout: an RT-DETR that is asked for phrases.

The network reads each phrase by itself, and all of them together as a task, "Detect cat, dog.". Pictures are stretched
to the one size that it was trained on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from .. import weights
from ..errors import CannotDo
from ..families import Family
from ..files.checkpoints import Checkpoint
from ..files.folders import read_json, write_json
from ..random_weights import random_weights
from .base import Detector
from .caption_detector import Kind
from .caption_folders import PREPROCESSOR
from .clip_words import read_tokenizer, token_ids
from .phrase_detector import Look, PhraseDetector
from .preprocessing import count_cells
from .pretrained import build, network_class
from .stretching import Input, read_input, resampling, stretched

if TYPE_CHECKING:
    from transformers import CLIPTokenizerFast, PreTrainedModel

KIND: Final = Kind("OmDet-Turbo", "OmDetTurboForObjectDetection", "4.45", "omdet-turbo")
STRIDES: Final = (8, 16, 32)
FLOAT_BYTES: Final = 4


class OmDetTurbo(PhraseDetector):
    """seen: what the network sees of a picture."""

    def __init__(self, network: PreTrainedModel, tokenizer: CLIPTokenizerFast, seen: Input, identity: str) -> None:
        super().__init__(KIND.name, network, identity)
        self.tokenizer = tokenizer
        self.seen = seen

    def ask(self, phrases: Sequence[str]) -> Look:
        """See `PhraseDetector.ask`. A task of many phrases is cut off where the network's text ends; each phrase is
        still read by itself."""
        most = self.network.config.text_config.max_position_embeddings
        classes, _ = _padded([token_ids(self.tokenizer, phrase, most, KIND.name) for phrase in phrases])
        task = f"Detect {', '.join(phrases)}."
        tasks, read = _padded([self.tokenizer(task, truncation=True, max_length=most)["input_ids"]])

        def look(pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            count = len(pixels)
            given = {
                "classes_input_ids": classes.repeat(count, 1),
                "classes_attention_mask": torch.ones_like(classes).repeat(count, 1),
                "tasks_input_ids": tasks.repeat(count, 1),
                "tasks_attention_mask": read.repeat(count, 1),
                "classes_structure": torch.full((count,), len(phrases)),
            }
            self._forget()
            output = self.network(
                pixel_values=pixels, **{name: value.to(pixels.device) for name, value in given.items()}
            )
            self._forget()
            return output.decoder_coord_logits, output.decoder_class_logits[..., : len(phrases)].sigmoid()

        return look

    def _forget(self) -> None:
        """The network keeps what it read, on the device where it then was."""
        for cache in (self.network.language_cache_class, self.network.language_cache_prompt):
            cache.cache.clear()
            cache.current_load = 0

    def pixels(self, images: torch.Tensor) -> torch.Tensor:
        """See `PhraseDetector.pixels`."""
        return stretched(images, self.seen)

    def memory_bytes(self, batch_size: int, height: int, width: int) -> int:
        """See `Detector.memory_bytes`. The peak lies in the backbone's first stage, or in the decoder."""
        config, seen = self.network.config, self.seen
        area, queries = seen.height * seen.width, config.num_queries
        embed = getattr(config.backbone_config, "embed_dim", 96)
        backbone = 12 * embed * area // 16
        samples = config.num_feature_levels * config.decoder_num_points
        heads, d_model = config.decoder_num_heads, config.decoder_hidden_dim
        decoder = (
            5 * count_cells(seen.height, seen.width, STRIDES) * d_model
            + queries * ((3 * samples + 10) * d_model + 10 * heads * samples)
            + 2 * queries**2 * heads
        )
        floats = 3 * area + max(resampling(seen, height), backbone, decoder)
        return batch_size * floats * FLOAT_BYTES


def _padded(rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of ids, int64 [N, L], zeros behind the shorter ones; and a mask of what is there."""
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows])
    return ids, torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])


def load(checkpoint: Checkpoint) -> OmDetTurbo:
    """The detector of a folder: its own tokenizer where it has one, else CLIP's.

    Raises:
        BadCheckpoint, CannotDo: as `pretrained.build` does; a backbone of timm, which is not installed; a tokenizer or
            a preprocessor that does not fit.
    """
    folder, config = checkpoint.path, checkpoint.config
    assert folder is not None
    if of_timm(config) and find_spec("timm") is None:
        raise CannotDo(
            f"{folder.name}: its backbone ({config.get('backbone')}) is one of the package timm, which is not "
            "installed; pip install timm, or choose another detector."
        )
    # Told what all releases take for granted of timm's backbone, transformers 5 asks the network of models for it.
    given = {name: value for name, value in config.items() if name != "backbone_kwargs"}
    tensors = {name: value for name, value in checkpoint.tensors.items() if not name.endswith(".position_ids")}
    network = build(network_class(KIND.network, KIND.since), given, tensors, folder.name)
    preprocessor = folder / PREPROCESSOR
    seen = read_input(read_json(preprocessor) if preprocessor.is_file() else {}, normalised=True)
    tokenizer = read_tokenizer(folder, network.config.text_config.vocab_size)
    return OmDetTurbo(network, tokenizer, seen, weights.identity(tensors))


def of_timm(config: Mapping[str, Any]) -> bool:
    """Whether a configuration builds its backbone by timm."""
    backbone = config.get("backbone_config")
    if isinstance(backbone, Mapping):
        return backbone.get("model_type") == "timm_backbone"
    return bool(config.get("use_timm_backbone", True))


TINY: Final[dict[str, Any]] = {
    "text_config": {
        "model_type": "clip_text_model",
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 77,
    },
    "backbone_config": {
        "model_type": "swin",
        "embed_dim": 8,
        "depths": [1, 1, 1, 1],
        "num_heads": [1, 1, 2, 2],
        "window_size": 4,
        "image_size": 64,
        "out_indices": [2, 3, 4],
    },
    "use_timm_backbone": False,
    "backbone": None,
    "apply_layernorm_after_vision_backbone": False,
    "image_size": 64,
    "text_projection_in_dim": 32,
    "text_projection_out_dim": 32,
    "task_encoder_hidden_dim": 32,
    "class_embed_dim": 32,
    "num_queries": 30,
    "encoder_hidden_dim": 16,
    "d_model": 16,
    "vision_features_channels": [16, 16, 16],
    "encoder_in_channels": [16, 32, 64],
    "encoder_attention_heads": 2,
    "encoder_dim_feedforward": 32,
    "decoder_hidden_dim": 16,
    "decoder_num_heads": 2,
    "decoder_num_layers": 2,
    "decoder_dim_feedforward": 32,
}


def random_network(vocabulary: int, seed: int = 7) -> PreTrainedModel:
    """A TINY network with random weights, for a tokenizer of so many words."""
    network = network_class(KIND.network, KIND.since)
    ends = {"bos_token_id": vocabulary - 2, "eos_token_id": vocabulary - 1, "pad_token_id": vocabulary - 1}
    text = {**TINY["text_config"], "vocab_size": vocabulary, **ends}
    # Through JSON: transformers takes parts out of the dictionaries that it is given.
    made = network(network.config_class.from_dict(json.loads(json.dumps({**TINY, "text_config": text}))))
    made.load_state_dict(random_weights(made, seed))
    return made.train(False)


def write_tiny(folder: Path) -> Path:
    """Write a `random_network` and a tokenizer of single letters into a folder in this folder, and give it."""
    from ..diffusion.tiny import write_tokenizer

    made = write_tokenizer(folder / "tiny")
    random_network(len(read_json(made / "vocab.json"))).save_pretrained(made)
    write_json(made / PREPROCESSOR, {"size": {"height": 64, "width": 64}})
    return made


FOLDER: Final[Family[Detector]] = Family(
    name=f"{KIND.name} in transformers' layout",
    detect=lambda checkpoint: checkpoint.config.get("model_type") == KIND.model_type,
    load=lambda checkpoint, dtype_for: load(checkpoint),
    tiny=write_tiny,
)
