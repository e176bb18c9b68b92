"""Configurations that lie beside weights: what the shapes of tensors cannot tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from ..errors import BadCheckpoint
from .checkpoints import Checkpoint, described
from .folders import CONFIG, read_json, weight_files

SCHEDULER: Final = "scheduler_config.json"
SCHEDULERS: Final = (SCHEDULER, f"scheduler/{SCHEDULER}", f"../scheduler/{SCHEDULER}")
"""Where it may lie, from the folder of the weights."""


def configuration(checkpoint: Checkpoint, *classes: str) -> dict[str, Any]:
    """The `config.json` of a folder, or beside a file, where it says that it is of one of these classes of diffusers;
    else empty.

    Raises:
        BadCheckpoint: it is no JSON.
    """
    return _first(checkpoint, [CONFIG], classes)


def settings(checkpoint: Checkpoint) -> dict[str, Any]:
    """The metadata of one of the pack's own files, else a `config.json` that lies beside.

    Raises:
        BadCheckpoint: it is no JSON.
    """
    found = [] if checkpoint.path is None else [read_json(file) for file in _there(checkpoint.path, [CONFIG])]
    return {**(found[0] if found else {}), **described(checkpoint.metadata)}


def scheduler_configuration(checkpoint: Checkpoint, classes: Sequence[str]) -> dict[str, Any]:
    """The `scheduler_config.json` beside, in the folder `scheduler` there, or in the one of the pipeline that the
    weights are a part of, where it is of one of these classes; else empty.

    Raises:
        BadCheckpoint: it is no JSON.
    """
    return _first(checkpoint, SCHEDULERS, classes)


def told(checkpoint: Checkpoint, network: str, act_fn: str = "silu", **fixed: Any) -> dict[str, Any]:
    """What the metadata of one of the pack's own files tells of a network of diffusers, else its `config.json`.

    act_fn, fixed: settings that the pack builds in one way alone.

    Raises:
        BadCheckpoint: the configuration has another value for one of those.
    """
    config = configuration(checkpoint, network)
    for name, value in {"act_fn": act_fn, **fixed}.items():
        if config.get(name, value) != value:
            raise BadCheckpoint(
                f"{checkpoint.name}, {network}: its {CONFIG} says {name} = {config[name]!r}; the pack builds it with "
                f"{value!r} alone. Choose another file."
            )
    return config | described(checkpoint.metadata)


def files(path: Path) -> tuple[Path, ...]:
    """What weights with a configuration beside them are read from."""
    return (*weight_files(path), *_there(path, [CONFIG, *SCHEDULERS]))


def _first(checkpoint: Checkpoint, names: Sequence[str], classes: Sequence[str]) -> dict[str, Any]:
    if checkpoint.path is None:
        return {}
    found = (read_json(file) for file in _there(checkpoint.path, names))
    return next((each for each in found if each.get("_class_name") in classes), {})


def _there(path: Path, names: Sequence[str]) -> Iterator[Path]:
    folder = path if path.is_dir() else path.parent
    return (folder / name for name in names if (folder / name).is_file())
