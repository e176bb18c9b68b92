"""Diffusers folders, part by part: never code, never the network."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from ..errors import BadCheckpoint
from ..files.checkpoints import Checkpoint
from ..files.folders import CONFIG, INDEX, read_json, read_weights, understood
from ..weights import empty_weights, fill, undrawn_weights
from . import samplers
from .networks import accepted, todays_attention

USUAL: Final = ("diffusion_pytorch_model.safetensors", "model.safetensors")
"""What most parts have, of diffusers and of transformers."""
TOKENIZER_FILES: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "CLIPTokenizerFast": (("tokenizer.json",), ("vocab.json", "merges.txt")),
    "T5TokenizerFast": (("tokenizer.json",), ("spiece.model",)),
    "PreTrainedTokenizerFast": (("tokenizer.json",),),
}
"""By class, sets of files of which each is enough: the first is written by transformers 5, the second by all before it.
"""

Classes = Mapping[str, Collection[str]]
"""Parts that are read, and the classes they may be of; a safety checker and the like are left alone."""


def holds(*pipelines: str) -> Callable[[Checkpoint], bool]:
    """Whether a checkpoint is a folder of one of these pipelines of diffusers."""

    def detect(checkpoint: Checkpoint) -> bool:
        # A list stands for a pipeline with code of its own.
        named = checkpoint.config.get("_class_name")
        return isinstance(named, str) and named in pipelines

    return detect


class PipelineFolder(NamedTuple):
    """A diffusers folder. index: its `model_index.json`, the library and class of each part."""

    folder: Path
    index: Mapping[str, Any]

    @property
    def name(self) -> str:
        """As messages begin."""
        return f"model: {self.folder.name}"

    def class_of(self, part: str) -> str | None:
        """The class of a part; None where there is no such part."""
        named = self.index.get(part)
        if isinstance(named, (list, tuple)) and len(named) == 2 and isinstance(named[1], str):
            return named[1]
        return None

    def part(self, name: str) -> Path:
        """Where a part lies; early folders keep one network and its scheduler beside the index."""
        return self.folder / name if (self.folder / name).is_dir() else self.folder

    def config(self, part: str) -> dict[str, Any]:
        """The configuration of a network, its class under `_class_name`.

        Raises:
            MissingFile, BadCheckpoint: see `read_json`.
        """
        return {**read_json(self.part(part) / CONFIG), "_class_name": self.class_of(part)}

    def scheduler_config(self) -> dict[str, Any]:
        """That of the scheduler, its class under `_class_name`."""
        path = self.part("scheduler") / "scheduler_config.json"
        config = {**read_json(path), "_class_name": self.class_of("scheduler")}
        with understood(f"{self.name}: {path.parent.name}/{path.name}"):
            samplers.check(config)
        return config

    def tensors(self, part: str) -> dict[str, torch.Tensor]:
        """The state dict of a network."""
        return read_weights(self.part(part), USUAL).tensors

    def tokenizer(self, part: str = "tokenizer", named: str = "CLIPTokenizerFast") -> Any:
        """A tokenizer. named: its class of transformers, one of TOKENIZER_FILES.

        Raises:
            BadCheckpoint: its files are missing, no JSON, or begin with a byte-order mark.
        """
        import transformers

        folder, sets = self.folder / part, TOKENIZER_FILES[named]
        if not any(all((folder / name).is_file() for name in files) for files in sets):
            expected = " or ".join(" and ".join(files) for files in sets)
            raise BadCheckpoint(f"{self.name}: {expected} is missing in {part}/; download the whole folder.")
        there = sorted(file for file in folder.iterdir() if file.suffix in (".json", ".txt"))
        for file in there:
            if file.suffix == ".json":
                read_json(file, self.name)
                # transformers and tokenizers read these files themselves.
                if file.read_bytes().startswith(codecs.BOM_UTF8):
                    raise BadCheckpoint(
                        f"{self.name}: {part}/{file.name} begins with a byte-order mark; save it without."
                    )
            else:
                with understood(f"{self.name}: {part}/{file.name}"):
                    file.read_text(encoding="utf-8")
        with understood(f"{self.name}: one of {', '.join(file.name for file in there)} in {part}/"):
            return getattr(transformers, named).from_pretrained(str(folder), local_files_only=True)

    def network(self, part: str, computes: bool = False) -> Any:
        """A network of diffusers of the class in the index, strictly filled, float32. computes: whether it makes
        tensors that its file does not hold."""
        import diffusers

        config = self.config(part)
        made = getattr(diffusers, config["_class_name"])
        with undrawn_weights() if computes else empty_weights(), understood(f"{self.name}: {part}/{CONFIG}"):
            network = made(**accepted(made, config))
        fill(network, todays_attention(self.tensors(part)), f"{self.name}, {part}")
        return network


def open_folder(checkpoint: Checkpoint, classes: Classes) -> PipelineFolder:
    """The folder of a checkpoint that `files.folders.read_model` has read.

    Raises:
        BadCheckpoint: it holds code, or a part is of none of its accepted classes.
    """
    folder = PipelineFolder(Path(checkpoint.path or "."), checkpoint.config)
    code = next(folder.folder.rglob("*.py"), None)
    if code is not None:
        raise BadCheckpoint(
            f"{folder.name}: the folder holds code ({code.relative_to(folder.folder).as_posix()}), which is never run; "
            "choose a model that diffusers' own classes can build."
        )
    for part, accepted_classes in classes.items():
        found = folder.class_of(part)
        if found not in accepted_classes:
            raise BadCheckpoint(
                f"{folder.name}: {INDEX}: its {part} is a {found}; the pack reads {', '.join(accepted_classes)} there."
            )
    return folder
