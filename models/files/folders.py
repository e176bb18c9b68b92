"""Model folders of transformers, of diffusers and of the pack: their configuration, and their weights."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Final

import torch

from ..errors import BadCheckpoint, MissingFile, TrilemmaError, is_out_of_memory
from . import checkpoints
from .atomic import replacing
from .checkpoints import Checkpoint
from .folder_weights import find_weights
from .hashes import model_files

INDEX: Final = "model_index.json"
"""Names the parts of a diffusers folder, each with a folder of its own."""
UNREAD: Final = ("safety_checker", "feature_extractor")
"""Parts of diffusers folders that nothing here reads."""
CONFIG: Final = "config.json"
DESCRIPTION: Final = "trilemma.json"
WEIGHTS: Final = ("model.safetensors", "pytorch_model.bin")
"""What most folders have."""
LONGEST_NAME: Final = 255
"""Bytes, on every usual file system."""
TEXTS: Final = (".json", ".txt")
SMALLEST: Final = 100
"""Bytes that a tensor takes in a pickle at the least, with its name."""
REASON: Final = 300
"""Letters of a library's reason that an error repeats."""


def read_model(path: Path) -> Checkpoint:
    """What a file or a folder holds.

    Of a folder, `config` is its configuration: the index of a diffusers folder, whose parts are left unread (no
    tensors), else `config.json` where there is one, with the tensors of its weights, which may lie in several files.

    Raises:
        MissingFile: there is nothing at the path, or a folder lacks a file; says which.
        BadCheckpoint, CannotDo: see `checkpoints.read`.
    """
    if not path.is_dir():
        return checkpoints.read_all(path)
    if (path / INDEX).is_file():
        index = read_json(path / INDEX)
        return Checkpoint({}, {}, part_notes(path, index), path, config=index)
    config = read_json(path / CONFIG) if (path / CONFIG).is_file() else {}
    return read_weights(path)._replace(path=path, config=config)


def part_notes(path: Path, index: Mapping[str, Any]) -> tuple[str, ...]:
    """Of which parts of a diffusers folder `read_weights` takes a variant, as sentences."""
    notes = []
    for part in index:
        if part not in UNREAD and (path / part).is_dir() and (variant := _variant(path / part)):
            notes.append(f"took the variant {variant} of the weights in {part}/")
    return tuple(notes)


def _variant(folder: Path) -> str:
    try:
        found = find_weights(folder)
    except MissingFile:  # which its reader says
        return ""
    return found.variant if found is not None else ""


def weight_files(path: Path) -> tuple[Path, ...]:
    """The files that a model's weights are read from: itself, or of a folder what `read_weights` reads there."""
    if not path.is_dir():
        return (path,)
    try:
        found = find_weights(path)
    except MissingFile:
        found = None
    if found is not None and found.index is None:
        return found.files
    return tuple(file for file in model_files(path) if file.parent == path and file.name != CONFIG)


def read_weights(folder: Path, usual: Sequence[str] = WEIGHTS) -> Checkpoint:
    """The weights that lie in a folder, in one file or in several; of variants the best, see `find_weights`.

    usual: names, for the message where there are none.

    Raises:
        MissingFile: there are none, or one of several is missing.
        BadCheckpoint: an index is broken, or two files hold the same tensor.
    """
    found = find_weights(folder) if folder.is_dir() else None
    if found is None:
        raise MissingFile(f"model: {folder.name} has no weights; put {' or '.join(usual)} into {folder}.")
    notes = (f"took the variant {found.variant} of the weights",) if found.variant else ()
    if found.index is not None:
        checkpoint = _read_shards(found.index)
    elif len(found.files) == 1:
        checkpoint = checkpoints.read(found.files[0])
    else:
        checkpoint = _joined(found.files)
    return checkpoint._replace(notes=(*notes, *checkpoint.notes))


def _joined(files: Sequence[Path]) -> Checkpoint:
    tensors: dict[str, torch.Tensor] = {}
    notes: list[str] = []
    for file in files:
        part = checkpoints.read(file)
        twice = next((name for name in part.tensors if name in tensors), None)
        if twice is not None:
            raise BadCheckpoint(f"model: {file.parent.name}: {file.name} holds {twice}, as another file does too.")
        tensors |= part.tensors
        notes += [f"{file.name}: {note}" for note in part.notes]
    return Checkpoint(tensors, {}, tuple(notes))


def _read_shards(index: Path) -> Checkpoint:
    named = read_json(index).get("weight_map")
    if not named or not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
        raise BadCheckpoint(f"model: {index.parent.name}: {index.name} has no weight_map; download it again.")
    names = sorted(set(named.values()))
    for name in names:
        if "\0" in name or len(name.encode(errors="surrogatepass")) > LONGEST_NAME:
            raise BadCheckpoint(
                f"model: {index.parent.name}: {index.name} names a file that no folder can hold, {name[:40]!r}...; "
                f"download it again."
            )
        # Links are followed: caches of downloads keep all contents elsewhere.
        if PurePosixPath(name).name != name or PureWindowsPath(name).name != name:
            raise BadCheckpoint(f"model: {index.parent.name}: {index.name} leads out of the folder, to {name!r}.")
    joined = _joined([index.parent / name for name in names])
    missing = [tensor for tensor in named if tensor not in joined.tensors]
    if missing:
        raise BadCheckpoint(
            f"model: {index.parent.name}: {index.name} names tensors that its files lack ({missing[0]} and "
            f"{len(missing) - 1} more); download the folder again."
        )
    return joined


@contextmanager
def understood(what: str) -> Iterator[None]:
    """What libraries raise in the block over a file's content becomes an error that names the file.

    what: the file or folder, as messages begin.

    Raises:
        BadCheckpoint: for any failure in the block but those of the pack, and but a lack of memory.
    """
    try:
        yield
    except TrilemmaError:
        raise
    except Exception as error:  # of any kind: each library checks values in its own way, or not at all
        if is_out_of_memory(error):
            raise
        reason = (str(error).strip().splitlines() or [""])[0]
        raise BadCheckpoint(
            f"{what} makes no sense ({type(error).__name__}{': ' if reason else ''}{reason[:REASON]}); download it "
            "again, or choose another."
        ) from error


def weight_limits(files: Sequence[Path], tensors: Mapping[str, torch.Tensor]) -> tuple[int, int]:
    """At most how many tensors, and elements of them, the files of a model can hold, with room for shared ones,
    and for those that a library registers anew when it fills them.

    tensors: those that are read already; one may stand for more elements than it has bytes on disk, where it is one
    number, repeated.
    """
    count = elements = 0
    for file in files:
        size = file.stat().st_size if file.is_file() else 0
        safe = file.suffix == ".safetensors"
        if safe or file.suffix not in TEXTS:
            count += checkpoints.count_tensors(file) if safe else size // SMALLEST
            elements += size
    count, elements = max(count, len(tensors)), max(elements, sum(each.numel() for each in tensors.values()))
    return 4 * count + 1000, 4 * elements + 10**6


def read_json(path: Path, model: str = "") -> dict[str, Any]:
    """A JSON object from a model folder. model: as messages begin, where the file lies in a folder of its parts.

    Raises:
        MissingFile: there is no such file.
        BadCheckpoint: it is no JSON object.
    """
    where = f"{model}: {path.parent.name}" if model else f"model: {path.parent.name}"
    try:
        written = path.read_bytes()
        if written.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise BadCheckpoint(f"{where}: {path.name} is written in UTF-16; save it anew as UTF-8.")
        content = json.loads(written.decode("utf-8-sig"))
    except FileNotFoundError:
        raise MissingFile(f"{where}: has no {path.name}; put it into {path.parent}.") from None
    except (ValueError, RecursionError) as error:
        raise BadCheckpoint(f"{where}: {path.name} is no JSON ({error}); download it again.") from None
    if not isinstance(content, dict):
        raise BadCheckpoint(f"{where}: {path.name} holds no JSON object; download it again.")
    return content


def read_description(path: Path | None) -> dict[str, Any]:
    """What the pack's own models say of themselves in `trilemma.json` of their folder; of others nothing."""
    file = (path or Path()) / DESCRIPTION
    return read_json(file) if path is not None and file.is_file() else {}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object into a model folder."""
    with replacing(path) as file:
        file.write(json.dumps(content, indent=2).encode())
