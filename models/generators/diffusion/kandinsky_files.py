"""Where Kandinsky 2.2's prior lies: in a folder of its own beside its decoder's."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ...errors import MissingFile, TrilemmaError
from ...files.folders import INDEX, read_json
from ...files.hashes import model_files

DECODER: Final = "KandinskyV22Pipeline"
PRIOR: Final = "KandinskyV22PriorPipeline"
SOURCE: Final = "https://huggingface.co/kandinsky-community/kandinsky-2-2-prior"


def _class_of(folder: Path) -> str:
    try:
        return str(read_json(folder / INDEX).get("_class_name")) if (folder / INDEX).is_file() else ""
    except TrilemmaError:  # which its own reader says
        return ""


def prior_of(path: Path) -> Path | None:
    """The prior's folder: of the decoder's name with "prior" in place of "decoder", else the only one beside it."""
    named = path.with_name(path.name.replace("decoder", "prior"))
    if named != path and _class_of(named) == PRIOR:
        return named
    there = [folder for folder in sorted(path.parent.iterdir()) if folder.is_dir() and _class_of(folder) == PRIOR]
    return there[0] if len(there) == 1 else None


def files(path: Path) -> tuple[Path, ...]:
    """Of the decoder, and behind them those of the prior."""
    own = model_files(path)
    prior = prior_of(path) if path.is_dir() and _class_of(path) == DECODER else None
    return own if prior is None else (*own, *model_files(prior))


def needed(path: Path) -> Path:
    """`prior_of`.

    Raises:
        MissingFile: there is none, or there are several.
    """
    prior = prior_of(path)
    if prior is None:
        raise MissingFile(
            f"model: {path.name} is Kandinsky's decoder; put the folder of its prior beside it ({SOURCE}), named like "
            f"it with prior for decoder."
        )
    return prior
