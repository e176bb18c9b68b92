"""Autoencoders whose encoder and decoder are files of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from .folders import weight_files

Half = Literal["encoder", "decoder"]

HALVES: Final[tuple[Half, Half]] = ("encoder", "decoder")


def files(path: Path) -> tuple[Path, ...]:
    """The file and, where it is there, that of the other half: of the same name, but for "encoder" and "decoder"."""
    swapped = (path.name.replace(half, other) for half, other in (HALVES, HALVES[::-1]))
    beside = [path.with_name(name) for name in swapped if name != path.name]
    return (*weight_files(path), *(file for file in beside if file.is_file()))
