"""LLMDet (Fu et al. 2025, arXiv:2501.18954) as its authors first published it for transformers.

Those folders call themselves Grounding DINO, and need a changed copy of transformers' file: the network is an
MM-Grounding-DINO, with heads of each layer's own. What tells them are the biases of its classification. The folders
that its authors made for transformers 4.55 call themselves MM-Grounding-DINO, and are read as such.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from ..families import Family
from ..files.checkpoints import Checkpoint
from ..files.folders import CONFIG, WEIGHTS, read_json, write_json
from . import mm_grounding_dino
from .base import Detector
from .caption_detector import CaptionDetector
from .caption_folders import load, write_tiny
from .heads import SHARE

KIND: Final = mm_grounding_dino.KIND._replace(name="LLMDet")
CALLED: Final = "grounding-dino"
BIAS: Final = re.compile(r"(?:model\.decoder\.)?class_embed\.\d+\.bias|model\.encoder_output_class_embed\.bias")


def detect(checkpoint: Checkpoint) -> bool:
    """Whether a folder calls itself a Grounding DINO, and has what those lack."""
    return checkpoint.config.get("model_type") == CALLED and any(map(BIAS.fullmatch, checkpoint.tensors))


def load_folder(checkpoint: Checkpoint) -> CaptionDetector:
    """The detector of a folder; see `caption_folders.load`."""
    own = dict.fromkeys(SHARE.values(), False)
    config = {**checkpoint.config, **own, "model_type": KIND.model_type}
    tensors = {
        name: value.reshape(()) if BIAS.fullmatch(name) and value.numel() == 1 else value
        for name, value in checkpoint.tensors.items()
    }
    return load(KIND, checkpoint._replace(config=config, tensors=tensors))


def write_tiny_folder(folder: Path) -> Path:
    """Write a random network into a folder in this folder as its authors did, and give it."""
    from safetensors.torch import load_file, save_file

    made = write_tiny(KIND, folder, **dict.fromkeys(SHARE.values(), False))
    tensors = load_file(made / WEIGHTS[0])
    save_file(
        {name: value.reshape(1) if BIAS.fullmatch(name) else value for name, value in tensors.items()},
        made / WEIGHTS[0],
    )
    config = read_json(made / CONFIG)
    del config[SHARE["class"]]
    write_json(made / CONFIG, {**config, "model_type": CALLED, "architectures": ["GroundingDinoForObjectDetection"]})
    return made


FOLDER: Final[Family[Detector]] = Family(
    name="LLMDet in its authors' layout",
    detect=detect,
    load=lambda checkpoint, dtype_for: load_folder(checkpoint),
    tiny=write_tiny_folder,
)
