"""What the loader nodes share: the list of models, the file behind a name, and the check that it is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from ... import host
from ...models.files import catalog
from ...models.files.paths import fingerprint


class Source(NamedTuple):
    """One of the host's model folders: its key, the endings of the files read from it, and whether folders are too."""

    key: str
    extensions: tuple[str, ...]
    folders: bool = False

    def names(self) -> list[str]:
        """What a user can choose from it."""
        return host.model_files(self.key, self.extensions, folders=self.folders)


class ModelLoader:
    """Base of the nodes with one input, `model`. A starter of the pack comes first, then what the SOURCES hold.

    KIND: which starters and published files. SOURCES: where the user's files are; they are told to use the first.
    """

    KIND: ClassVar[catalog.Kind]
    SOURCES: ClassVar[tuple[Source, ...]]
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        names = catalog.starter_names(cls.KIND) + [name for source in cls.SOURCES for name in source.names()]
        tooltip = "Starters come with the pack and know emoji; other files are yours."
        return {"required": {"model": (names, {"tooltip": tooltip})}}

    @classmethod
    def IS_CHANGED(cls, model: str) -> str:
        return fingerprint(cls.path(model))

    @classmethod
    def VALIDATE_INPUTS(cls, model: str) -> bool | str:
        try:
            cls.path(model)
        except FileNotFoundError as error:
            return str(error)
        return True

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
        raise catalog.missing_file(cls.KIND, model, host.model_folder(cls.SOURCES[0].key))
