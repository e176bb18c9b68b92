"""Nodes of the menu Trilemma/Files: pictures that come with the pack, and files made safe to pass on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from .. import host
from ..models.errors import MissingFile
from ..models.files.converting import PICKLED, convert
from ..models.files.paths import fingerprint
from ..models.pictures import example_scenes
from .common import checking, inputs, menus
from .common.loading import Source
from .common.showing import show_text


class ExampleScene:
    """A shipped scene of emoji, the closed world that the starter models know."""

    DISPLAY_NAME = "Example Scene"
    CATEGORY = menus.FILES
    DESCRIPTION = (
        "A picture that comes with the pack, composed of the emoji that the starter models know. "
        "Replace it by Load Image, and the starter models by published ones, to edit your own pictures."
    )
    SEARCH_ALIASES = ["demo image", "sample picture", "emoji scene", "starter scene"]
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("image",)
    OUTPUT_TOOLTIPS = ("The scene, a batch of one image.",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {"required": {"scene": inputs.choice(example_scenes.scene_names(), "Which of the shipped scenes.")}}

    def run(self, scene: str) -> tuple[torch.Tensor]:
        return (host.intermediate(example_scenes.scene(scene)),)


MODEL_FOLDERS = tuple(
    Source(key, PICKLED) for key in ("grounding-dino", "sams", "generators", "metrics", "checkpoints")
)


class ConvertToSafetensors:
    """Writes a pickled model file anew in the format that cannot hold code."""

    DISPLAY_NAME = "Convert to Safetensors"
    CATEGORY = menus.FILES
    DESCRIPTION = (
        "Writes the weights of a .pt, .pth, .ckpt or .pkl file as .safetensors beside it. Nothing in the file is "
        "executed. Of several networks in it, the averaged one (EMA) is taken; the report says so."
    )
    SEARCH_ALIASES = ["pickle to safetensors", "ckpt to safetensors", "pkl", "pth", "safe checkpoint"]
    RETURN_TYPES = ("STRING",)
    RETURN_NAMES = ("name",)
    OUTPUT_TOOLTIPS = ("The new file, as folder key and name below it.",)
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        names = [f"{source.key}/{name}" for source in MODEL_FOLDERS for name in source.names()]
        return {
            "required": {"file": inputs.choice(names, "A model file that is no safetensors file yet.")},
            "optional": {
                "overwrite": inputs.boolean(False, "Replace a safetensors file of this name that is there already.")
            },
        }

    @classmethod
    def IS_CHANGED(cls, file: str, overwrite: bool = False) -> str:
        return fingerprint(cls.path(file))

    @classmethod
    def VALIDATE_INPUTS(cls, file: str | None = None) -> bool | str:
        return checking.found(cls.path, file, "file")

    @classmethod
    def path(cls, file: str) -> Path:
        """The file behind an entry of the list: the key of a model folder, a slash, and a name in that folder.

        Raises:
            MissingFile: there is none; names the folder.
        """
        key, _, name = file.partition("/")
        source = next((source for source in MODEL_FOLDERS if source.key == key), None)
        if source is None or not name.lower().endswith(source.extensions):
            raise MissingFile(
                f"file: {file[:80]!r} is no {', '.join(PICKLED)} file in a model folder; choose one of the list."
            )
        return host.model_path(key, name)

    def run(self, file: str, overwrite: bool = False) -> dict[str, Any]:
        done = convert(self.path(file), overwrite=overwrite)
        name = f"{file.rpartition('.')[0]}.safetensors"
        report = "\n".join([f"{name}: {done.tensors} tensors, {done.bytes:,} bytes", *done.notes])
        return show_text(report, name)


NODES = {"TrilemmaExampleScene": ExampleScene, "TrilemmaConvertToSafetensors": ConvertToSafetensors}
