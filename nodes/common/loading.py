"""What the loader nodes share: the list of models, the file behind a name, loading it, and whether it has changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

from ... import host
from ...models.diffusion import prediction as prediction_of
from ...models.families import Registry
from ...models.files import catalog
from ...models.files.paths import fingerprint
from . import checking, inputs
from .showing import show_text

WEIGHT_FILES: Final = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".tar")
"""Endings under which weights are published; what is in a file counts for reading it. A .tar is a PyTorch file too:
training scripts name theirs model_best.pth.tar."""
OF_FILE: Final = "as the file says"
PREDICTIONS: Final = {OF_FILE: "", "noise": prediction_of.NOISE, "velocity": prediction_of.VELOCITY}
"""Public names, for ever, of what a network foresees."""


class Source(NamedTuple):
    """One of the host's model folders: its key, the endings of the files read from it, and whether folders are too."""

    key: str
    extensions: tuple[str, ...]
    folders: bool = False

    def names(self) -> list[str]:
        """What a user can choose from it."""
        return host.model_files(self.key, self.extensions, folders=self.folders)


class ModelLoader:
    """Base of the nodes that load a model by its name. A starter of the pack comes first, then what the SOURCES hold.

    REGISTRY: the families that are read. KIND: which starters and published files. SOURCES: where the user's files
    are; they are told to use the first. Further inputs of a subclass are settings, which `handled` takes.
    """

    REGISTRY: ClassVar[Registry[Any]]
    KIND: ClassVar[catalog.Kind]
    SOURCES: ClassVar[tuple[Source, ...]]
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        names = catalog.starter_names(cls.KIND) + [name for source in cls.SOURCES for name in source.names()]
        tooltip = "Starters come with the pack and know emoji; other files are yours."
        return {"required": {"model": (names, {"tooltip": tooltip})}}

    @classmethod
    def IS_CHANGED(cls, model: str, **settings: Any) -> str:
        return fingerprint(*cls.REGISTRY.files(cls.path(model)))

    @classmethod
    def VALIDATE_INPUTS(cls, model: str | None = None) -> bool | str:
        return checking.found(cls.path, model, "model")

    def run(self, model: str, **settings: Any) -> tuple[Any, ...] | dict[str, Any]:
        return self.load(model, {}, **settings)

    def load(self, model: str, told: Mapping[str, str], **settings: Any) -> tuple[Any, ...] | dict[str, Any]:
        """What `run` gives. told: what the user says of the file, for `Registry.load`."""
        with host.without_inference_mode():
            loaded = self.REGISTRY.load(self.path(model), host.compute_dtype, told)
        bound = self.handled(loaded, **settings)
        handle, info = host.hold(bound, loaded.modules), self.info(bound)
        text = "\n".join([*([info] if info else []), *loaded.notes])
        outputs = (handle,) if info is None else (handle, text)
        return show_text(text, *outputs) if text else outputs

    @classmethod
    def handled(cls, loaded: Any) -> Any:
        """What travels on the wire: the loaded model, with the node's settings where it has any."""
        return loaded

    @classmethod
    def info(cls, bound: Any) -> str | None:
        """A text beside it, which the node shows too; None for nodes without that output."""
        return None

    @classmethod
    def path(cls, model: str) -> Path:
        """The file or folder behind a name of the list.

        Raises:
            MissingFile: there is none; says where to get it, and where to put it.
        """
        starter = catalog.starter_folder(cls.KIND, model)
        if starter is not None:
            return starter
        for source in cls.SOURCES:
            if model in source.names():
                return host.model_path(source.key, model)
        key = catalog.usual_folder(cls.KIND, model) or cls.SOURCES[0].key
        raise catalog.missing_file(cls.KIND, model, host.model_folder(key))


class DiffusionLoader(ModelLoader):
    """Base of the loaders that read single files of diffusion models too."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        foresees = inputs.choice(
            PREDICTIONS,
            "What a Stable Diffusion network foresees. Most files tell it; single files of Stable Diffusion 2 may not: "
            "those for 512 pixels foresee noise, those for 768 velocities (v-prediction).",
            default=OF_FILE,
        )
        return {**super().INPUT_TYPES(), "optional": {"prediction": inputs.advanced(foresees)}}

    def run(self, model: str, prediction: str = OF_FILE) -> tuple[Any, ...] | dict[str, Any]:
        foresees = PREDICTIONS[prediction]
        return self.load(model, {prediction_of.TOLD: foresees} if foresees else {})
