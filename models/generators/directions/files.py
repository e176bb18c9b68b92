"""Directions in files: the pack's own, and those that others publish, read as data.

Known of others: NumPy arrays (InterFaceGAN's boundaries, [1, 512]) and PyTorch files of a tensor, of several by name or
in a list, of rosinality's closed-form factorisation (`eigvec`, of which the columns are the directions), and of
principal components with their standard deviations (`comp` and `std`, as encoder4editing has them). A file of others
says neither which space nor which model it is of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from ...errors import BadCheckpoint, BadInput, MissingFile
from ...files import checkpoints
from ...files.atomic import locked, make_folder, sweep_parts
from ...files.kinds import kind_of
from ...files.numpy_arrays import NUMPY, read_array
from ...files.safetensors_files import write_tensors
from ...files.unpickling import as_tensor, contents, stands_for_tensor
from ..base import Generator, Space
from .base import Directions

ENDINGS: Final = (".safetensors", ".npy", ".pt", ".pth")
KEY: Final = "directions"
"""The tensor of the pack's own files, and what their metadata has its facts under."""
MAX_BYTES: Final = 2**30


def save(path: Path, directions: Directions, overwrite: bool = False) -> None:
    """Write all of it as safetensors.

    Raises:
        BadInput: the file is there already and may not be replaced.
    """
    facts = directions._asdict()
    vectors = facts.pop("vectors")
    make_folder(path.parent)
    sweep_parts(path.parent)
    with locked(path):
        if path.exists() and not overwrite:
            raise BadInput(f"file: {path.name} is there; switch overwrite on, or choose another name.")
        write_tensors(path, {KEY: vectors.contiguous()}, {checkpoints.OWN_KEY: json.dumps({KEY: facts})})


def load(path: Path, generator: Generator, space: str) -> Directions:
    """The directions of a file for latents of the generator; of files of others, in that space, with the file's name.

    Raises:
        MissingFile: there is none.
        BadCheckpoint: it is broken, or holds something else.
        BadInput: its directions are of another size or space than the generator's latents.
    """
    if not path.is_file():
        raise MissingFile(f"file: there is no {path.name} in {path.parent}; put it there, or choose another location.")
    if path.stat().st_size > MAX_BYTES:
        raise BadCheckpoint(f"file: {path.name} has {path.stat().st_size:,} bytes, more than any file of directions.")
    parts = _read(path)
    facts = _facts(path)
    wanted = facts["space"] if facts else space
    found = next((each for each in generator.spaces if each.name == wanted), None)
    architecture = generator.descriptor.architecture
    if found is None:
        known = " and ".join(each.name for each in generator.spaces) or "none"
        raise BadInput(
            f"space: latents of {architecture} are not in {wanted} (known: {known}); choose another space or file."
        )
    if facts:
        names, layers = tuple(facts["names"]), tuple(facts["layers"])
        vectors = _own(parts.get(KEY), len(names), layers, found, path.name, architecture)
        return Directions(names, vectors, found.name, layers, facts["identity"])
    shaped = {
        name: _shaped(value, found, f"{path.name}{f', {name},' if name else ''}", architecture)
        for name, value in parts.items()
    }
    if len({value.shape[1:] for value in shaped.values()}) > 1:
        raise BadInput(
            f"file: some directions of {path.name} have parts of their own for each layer, some not; split it."
        )
    names = [label for name, value in shaped.items() for label in _labels(name or path.stem, len(value))]
    return Directions(tuple(names), torch.cat(list(shaped.values())), found.name)


def _facts(path: Path) -> dict[str, Any]:
    """What one of the pack's own files says of its directions; empty for files of others.

    Raises:
        BadCheckpoint: it makes no sense.
    """
    if path.suffix.lower() != ".safetensors":
        return {}
    facts = checkpoints.described(checkpoints.read(path).metadata).get(KEY)
    if facts is None:
        return {}
    fields = {"names": list, "layers": list, "space": str, "identity": str}
    sound = isinstance(facts, dict) and all(isinstance(facts.get(name), kind) for name, kind in fields.items())
    if not (
        sound
        and all(isinstance(name, str) for name in facts["names"])
        and all(isinstance(layer, int) and layer >= 0 for layer in facts["layers"])
        and facts["layers"] == sorted(set(facts["layers"]))
    ):
        raise BadCheckpoint(f"file: {path.name} does not say of its directions what they are; save them anew.")
    return facts


def _own(
    value: torch.Tensor | None, count: int, layers: tuple[int, ...], space: Space, file: str, architecture: str
) -> torch.Tensor:
    """[N, ...] of one of the pack's own files."""
    shapes = [space.shape[1:], space.shape] if space.layers else [space.shape]
    shape = next((each for each in shapes if value is not None and value.shape == (count, *each)), None)
    if value is None or shape is None or (layers and layers[-1] >= space.layers):
        numbers = "none" if value is None else _times(value.shape[1:])
        last = f" and are of layers up to {layers[-1]}" if layers else ""
        raise BadInput(
            f"file: the directions of {file} have {numbers} numbers{last}; latents of {architecture} have "
            f"{_times(space.shape)} in {space.name}. Choose a file of this model."
        )
    return value


def _labels(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name} {number}" for number in range(1, count + 1)]


def _read(path: Path) -> dict[str, torch.Tensor]:
    """The arrays of a file, by their names; the name is empty where there is one without."""
    try:
        with path.open("rb") as file:
            head = file.read(len(NUMPY))
        if head == NUMPY:
            found = {"": _array(path)}
        elif kind_of(path) == "safetensors":
            found = dict(checkpoints.read(path).tensors)
        else:
            found = _named(contents(path))
    except BadCheckpoint as error:
        text = str(error).removeprefix(f"{path.name}: ")
        raise BadCheckpoint(f"file: {path.name}: {text}") from error
    # Copies: the file in which they lie may be written over.
    made = {name: value.to(torch.float32, copy=True) for name, value in found.items() if value.numel() > 1}
    if not made:
        raise BadCheckpoint(f"file: {path.name} holds no directions; choose another file.")
    if not all(bool(torch.isfinite(value).all()) for value in made.values()):
        raise BadCheckpoint(f"file: {path.name} holds values that are not numbers; get it again.")
    return made


def _array(path: Path) -> torch.Tensor:
    """Of a NumPy file."""
    array = read_array(path)
    if array.dtype.kind not in "fiu":
        raise BadCheckpoint(f"it holds {array.dtype}, no numbers to move by; choose another file.")
    return torch.from_numpy(np.array(array, dtype=np.float32))


def _named(value: Any) -> dict[str, torch.Tensor]:
    """The tensors of what a PyTorch file holds."""
    if stands_for_tensor(value):
        return {"": as_tensor(value)}
    if isinstance(value, (list, tuple)):
        value = {str(number): part for number, part in enumerate(value, 1)}
    if not isinstance(value, Mapping):
        raise BadCheckpoint("it holds no tensors; choose another file.")
    tensors = {str(name): as_tensor(part) for name, part in value.items() if stands_for_tensor(part)}
    if "eigvec" in tensors and tensors["eigvec"].ndim == 2:
        return {"eigvec": tensors["eigvec"].T[:, None]}
    if {"comp", "std"} <= tensors.keys() and len(tensors["comp"]) == tensors["std"].numel():
        steps = tensors["std"].reshape(-1, *[1] * (tensors["comp"].ndim - 1))
        return {"pca": tensors["comp"] * steps}
    return tensors


def _shaped(value: torch.Tensor, space: Space, what: str, architecture: str) -> torch.Tensor:
    """[N, ...]: N directions, each of a part or of a whole latent of the space; [N, 1, ...] are parts, however many."""
    part = space.shape[1:] if space.layers else space.shape
    if value.shape[1:] == (1, *part):
        return value[:, 0]
    given = [side for side in value.shape if side > 1]
    for shape in (space.shape, part):
        sides = [side for side in shape if side > 1]
        if given == sides or given[1:] == sides:
            return value.reshape(-1, *shape)
    layers = f" for each of {space.layers} layers, or for all alike" if space.layers else ""
    raise BadInput(
        f"file: {what} is of shape {_times(value.shape)}; latents of {architecture} have {_times(part)} numbers in "
        f"{space.name}{layers}. Choose a file that was made for this model, or another space."
    )


def _times(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
