"""What the nodes share that read LoRAs: the list of files, the one behind a name, and its strength."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ... import host
from ...models.files import catalog
from . import checking, inputs
from .loading import WEIGHT_FILES, Source

LORAS: Final = Source("loras", WEIGHT_FILES)


def names() -> inputs.Input:
    """The choice: the starters, then the user's files."""
    return inputs.choice(
        [*catalog.STARTER_LORAS, *LORAS.names()],
        "A file of models/loras; starters come with the pack, for the starter emoji inpainter and latent diffusion.",
    )


def strength() -> inputs.Input:
    """How much a LoRA counts."""
    return inputs.number(
        1.0, -10.0, 10.0, 0.05, "1 as it was trained, 0 nothing, less than 0 the opposite.", rounded=0.001
    )


def path(name: str) -> Path:
    """The file of a choice.

    Raises:
        MissingFile: there is none.
    """
    starter = catalog.STARTER_LORAS.get(name)
    return host.model_path(LORAS.key, name) if starter is None else catalog.STARTER_ROOT / starter


def found(name: str | None) -> bool | str:
    """For VALIDATE_INPUTS: whether there is a file, or what is said of it."""
    return checking.found(path, name, "lora")
