"""What tells for certain which files were loaded: SHA-256, computed once for each file as it lies on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final

from .paths import fingerprint

WEIGHTS: Final = (".safetensors", ".bin", ".json", ".txt", ".model")
"""Endings of the files that make up a model folder."""
BLOCK: Final = 2**20


def model_files(path: Path) -> tuple[Path, ...]:
    """The files of a model: itself, or those in its folder that weights and settings are read from, sorted."""
    if not path.is_dir():
        return (path,)
    return tuple(sorted(file for file in path.rglob("*") if file.suffix in WEIGHTS and file.is_file()))


def hashes(files: Iterable[Path]) -> dict[str, str]:
    """Name of each file with its folder's -> SHA-256, hex. A file is read again only after it has changed.

    Raises:
        FileNotFoundError: one is gone.
    """
    return {f"{file.parent.name}/{file.name}": _sha256(file, fingerprint(file)) for file in files}


@lru_cache(maxsize=256)
def _sha256(file: Path, state: str) -> str:
    """state: of the file; another one is another entry of the cache."""
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
