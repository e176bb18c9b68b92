"""What lies in model folders: each file with what it is, or why nothing reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .errors import TrilemmaError
from .families import Registry
from .files.folders import read_model


class Reader(NamedTuple):
    """A node that reads a folder. title: as menus show it. registry: of its families."""

    title: str
    registry: Registry[Any]


class Item(NamedTuple):
    """A file or a folder of one. name: as loaders list it. folder: the key of the model folder. files: all that the
    model is read from. families: by the title of the loader that reads it. notes: what was chosen of it. problem: why
    no loader reads it; empty where one does. part_of: where it belongs to other models, their names."""

    name: str
    folder: str
    path: Path
    files: tuple[Path, ...]
    families: Mapping[str, str]
    notes: tuple[str, ...] = ()
    problem: str = ""
    part_of: tuple[str, ...] = ()


def look(name: str, folder: str, path: Path, readers: Sequence[Reader]) -> Item:
    """What a file is, by the names and shapes of its tensors; nothing is built from it.

    readers: all that list it, at least one.
    """
    families: dict[str, str] = {}
    files: list[Path] = []
    notes: tuple[str, ...] = ()
    problems: list[str] = []
    try:
        checkpoint = read_model(path)
    except (TrilemmaError, OSError) as error:
        return Item(name, folder, path, (path,), {}, problem=str(error))
    for reader in readers:
        try:
            family, seen = reader.registry.claiming(checkpoint, path.name)
        except TrilemmaError as error:
            problems.append(str(error))
            continue
        families[reader.title], notes = family.name, seen.notes
        files += family.files(path)
    return Item(name, folder, path, tuple(dict.fromkeys(files)), families, notes, "" if families else problems[0])


def with_parts(items: Sequence[Item]) -> list[Item]:
    """The same; of what is no model itself but belongs to one that was found, such as a text encoder beside a
    generator, that is told in place of the problem."""
    owners = [item for item in items if item.families]
    told = []
    for item in items:
        part_of = tuple(owner.name for owner in owners if item.path in owner.files)
        told.append(item._replace(problem="", part_of=part_of) if item.problem and part_of else item)
    return told
