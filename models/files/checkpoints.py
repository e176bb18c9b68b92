"""Bytes on disk to a plain state dict, never running code from the file (see `unpickling` for why that is certain)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import torch

from ..errors import BadCheckpoint, CannotDo, MissingFile, is_out_of_memory
from .kinds import MAX_HEADER, kind_of
from .unpickling import PROGRAM, contents
from .unwrapping import MAX_VALUES, PROGRAM_NOTE, Network, networks

__all__ = ["Checkpoint", "described", "read", "read_all"]

OWN_KEY: Final = "trilemma"
"""Where the pack's own files say of themselves what shapes cannot tell, as a JSON object."""
VALUES_KEY: Final = "trilemma_values"
NOTES_KEY: Final = "trilemma_notes"
"""Where a converted file's safetensors metadata keeps values and notes, as JSON."""


class Checkpoint(NamedTuple):
    """What a file holds.

    tensors: a flat state dict, on the CPU, in the file's dtypes. metadata: the text metadata of a safetensors file
    (empty for other formats). notes: what the reader chose, as sentences ("took the EMA weights (g_ema) of ...").
    path: the file or folder. values: plain values that stood beside the weights, such as hyper-parameters, as JSON
    knows them. config: a folder's own configuration (`config.json`, or `model_index.json` of diffusers); else
    empty. place, rank: of several networks in a file, where this one is, and how likely it is meant (see
    `unwrapping.Network`). others: those networks, the likelier ones first.
    """

    tensors: dict[str, torch.Tensor]
    metadata: dict[str, str]
    notes: tuple[str, ...] = ()
    path: Path | None = None
    values: Mapping[str, Any] = MappingProxyType({})
    config: Mapping[str, Any] = MappingProxyType({})
    place: str = ""
    rank: int = 0
    others: tuple[Checkpoint, ...] = ()

    @property
    def is_program(self) -> bool:
        """Whether it is a TorchScript program, of which the weights alone were read."""
        return PROGRAM_NOTE in self.notes

    @property
    def name(self) -> str:
        """The file's or folder's, as messages begin."""
        return f"model: {self.path.name}" if self.path is not None else "model"


def read(path: Path) -> Checkpoint:
    """Read a `.safetensors` file, a PyTorch archive or older stream, or a pickled snapshot of networks.

    Wrappers ('state_dict', 'model', 'g_ema', ...) and 'module.' prefixes are taken off. Of several networks in a
    file the averaged one (EMA) is taken, else the generator, and `notes` says so.

    Raises:
        MissingFile: there is no such file.
        BadCheckpoint: it is truncated, no checkpoint, holds no weights, or names what no checkpoint has a use for; or
            it holds several networks, and nothing tells which of them is meant; or it is a TorchScript program.
        CannotDo: its weights are larger than the free memory.
    """
    first = read_all(path)
    if first.is_program:
        raise BadCheckpoint(f"{path.name}: {PROGRAM}")
    equal = [first, *(other for other in first.others if other.rank == first.rank)]
    if len(equal) > 1:
        raise BadCheckpoint(
            f"{path.name}: it holds {len(equal)} networks ({', '.join(other.place for other in equal)}), and no name "
            "tells which of them is meant; save that one alone."
        )
    return first


def read_all(path: Path) -> Checkpoint:
    """`read`, where whoever knows architectures chooses: the first of several networks that are equally likely, its
    `others` the rest; and of a TorchScript program its weights (`Checkpoint.is_program`)."""
    if not path.is_file():
        raise MissingFile(f"{path.name}: there is no such file in {path.parent}.")
    try:
        return _read(path)
    except (BadCheckpoint, CannotDo) as error:
        raise type(error)(f"{path.name}: {error}") from error


def _read(path: Path) -> Checkpoint:
    kind = kind_of(path)
    if kind == "safetensors":
        return _read_safetensors(path)
    if kind == "pickle":
        # Archives are mapped; of them, only what is taken in the end counts.
        _check_memory(path.stat().st_size)
    return _checkpoint(networks(contents(path)), path)


def _checkpoint(found: Sequence[Network], path: Path, metadata: Mapping[str, str] = MappingProxyType({})) -> Checkpoint:
    first, *others = (
        Checkpoint(each.tensors, dict(metadata), each.notes, path, each.values, place=each.place, rank=each.rank)
        for each in found
    )
    _check_memory(sum(tensor.numel() * tensor.itemsize for tensor in first.tensors.values()))
    return first._replace(others=tuple(others))


def _read_safetensors(path: Path) -> Checkpoint:
    from safetensors import SafetensorError, safe_open

    _check_memory(path.stat().st_size)
    count = count_tensors(path)
    if count > MAX_VALUES:
        # The library takes a kilobyte and more for each, whatever it holds.
        raise BadCheckpoint(f"it lists {count:,} tensors, more than any network has ({MAX_VALUES:,} at most).")
    _check_names(_header(path))
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
            metadata = file.metadata() or {}
    except (SafetensorError, TypeError, ValueError, RuntimeError) as error:  # the last three of PyTorch, of a shape
        if is_out_of_memory(error):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadCheckpoint(f"not a whole safetensors file ({reason}): {_damage(path)}") from error
    _json(metadata, OWN_KEY, dict)
    notes = [note for note in _json(metadata, NOTES_KEY, list) if isinstance(note, str)]
    values = _json(metadata, VALUES_KEY, dict)
    network = _checkpoint(networks(tensors), path, metadata)
    return network._replace(notes=(*notes, *network.notes), values=values)


def count_tensors(path: Path) -> int:
    """How many tensors a safetensors file lists, without reading the list as such."""
    return _header(path).count(b'"dtype"')


def _header(path: Path) -> bytes:
    """The list of tensors of a safetensors file, as JSON, as far as it is there."""
    with path.open("rb") as file:
        return file.read(min(int.from_bytes(file.read(8), "little"), MAX_HEADER))


def _check_names(header: bytes) -> None:
    """JSON lets a name be there twice, and the library takes the last."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = dict(pairs)
        if len(names) < len(pairs):
            doubled = next(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
            raise BadCheckpoint(f"its list of tensors has {doubled[:100]!r} twice; it is damaged: download it again.")
        return names

    with suppress(ValueError, RecursionError):  # of which the library tells more
        json.loads(header.decode(), object_pairs_hook=once)


def _damage(path: Path) -> str:
    """What is wrong with a safetensors file that its library refuses, and what to do."""
    header, size = _header(path), path.stat().st_size
    try:
        listed = json.loads(header)
        ends = [entry["data_offsets"][1] for name, entry in listed.items() if name != "__metadata__"]
        whole = 8 + len(header) + max(ends, default=0)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return f"its list of tensors is damaged, or cut short; its size is {size:,} bytes. Download it again."
    if size > whole:
        return (
            f"it has {size:,} bytes and needs {whole:,}: {size - whole:,} surplus ones lie behind its tensors, as when "
            "a download was continued wrongly. Download it again."
        )
    if size < whole:
        return f"it has {size:,} bytes of the {whole:,} that it needs: it is cut short. Download it again."
    return f"its list of tensors is damaged, though its size, {size:,} bytes, is right. Download it again."


def _json(metadata: Mapping[str, str], key: str, kind: type) -> Any:
    """What a text of the metadata says, empty where there is none.

    Raises:
        BadCheckpoint: it is no JSON of that kind.
    """
    if key not in metadata:
        return kind()
    try:
        found = json.loads(metadata[key])
    except (ValueError, RecursionError) as error:
        raise BadCheckpoint(
            f"its metadata {key!r} is damaged ({error}); get the file again, or convert anew."
        ) from error
    if not isinstance(found, kind):
        raise BadCheckpoint(
            f"its metadata {key!r} is damaged (no {kind.__name__}); get the file again, or convert anew."
        )
    return found


def _check_memory(needed: int) -> None:
    import psutil

    free = psutil.virtual_memory().available
    if needed > free:
        raise CannotDo(
            f"its weights take {_megabytes(needed)}, but only {_megabytes(free)} of memory are free. Close other "
            "programs, or choose a smaller file, such as a half-precision version."
        )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def described(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What the pack's own files say of themselves: hyper-parameters that tensor shapes cannot tell; else empty."""
    return json.loads(metadata.get(OWN_KEY, "{}"))
