"""Finds model files and model folders below a list of root folders."""

import os
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath

from ..models.errors import MissingFile

NAME_SHOWN = 80
"""Characters of a name in a message."""
MODEL_FOLDER_MARKS = ("model_index.json", "config.json")

# Folder key -> the file types in it. Keys of ComfyUI itself (`checkpoints`, `diffusers`) are not ours to register.
WEIGHT_FILES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".tar")
FOLDER_KEYS: dict[str, tuple[str, ...]] = {
    "grounding-dino": WEIGHT_FILES,
    "sams": WEIGHT_FILES,
    "generators": (*WEIGHT_FILES, ".pkl"),
    "metrics": WEIGHT_FILES,
    "directions": (*WEIGHT_FILES, ".npy"),
}
# Folders that other packs make. Never registered by this one: comfyui-inpaint-nodes lays its list of endings where it
# finds none, and appends to what it finds, which fails for a set, and its own endings (.patch) would be lost.
BORROWED: tuple[str, ...] = ("inpaint",)


def walk_files(roots: Iterable[Path]) -> list[str]:
    """Relative paths of every file below the roots, forward slashes, sorted, each once."""
    found = set()
    for root in roots:
        for folder, _, files in os.walk(root, followlinks=True):
            found.update((Path(folder) / file).relative_to(root).as_posix() for file in files)
    return sorted(found)


def walk_model_folders(roots: Iterable[Path]) -> list[str]:
    """Relative paths of the diffusers and transformers folders below the roots (not of folders inside those)."""
    found = set()
    for root in roots:
        for folder, subfolders, files in os.walk(root, followlinks=True):
            if Path(folder) != Path(root) and any(mark in files for mark in MODEL_FOLDER_MARKS):
                found.add(Path(folder).relative_to(root).as_posix())
                subfolders.clear()
    return sorted(found)


def choices(files: Iterable[str], model_folders: Iterable[str], extensions: Collection[str]) -> list[str]:
    """Entries of a loader's list: model folders, and files of the given types that lie outside of those."""
    inside = tuple(f"{folder}/" for folder in model_folders)
    picked = {file for file in files if file.lower().endswith(tuple(extensions)) and not file.startswith(inside)}
    return sorted(picked.union(model_folders))


def find(roots: Iterable[Path], name: str, key: str) -> Path:
    """Path of the entry `name` below the first root that has it.

    MissingFile names the folder to put it in; names that lead out of the folder are never found.
    """
    roots = list(roots)
    inside = ".." not in PurePosixPath(name.replace("\\", "/")).parts and not PureWindowsPath(name).anchor
    for root in roots:
        if name and inside and _is_there(root / name):
            return root / name
    raise MissingFile(
        f"{name[:NAME_SHOWN]!r} is not in the model folder '{key}'; put it into {roots[0]} and reload the page."
    )


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long a name; a NUL, half a character
        return False
