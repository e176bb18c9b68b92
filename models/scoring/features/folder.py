"""Folders of pictures as samples: each file is read once, a few at a time; those that cannot be read are named."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from ...errors import BadInput
from ...files.paths import fingerprint
from ...pictures.image_files import READER, read_eight_bit
from ...pictures.picture_folders import left_out_lines, list_pictures
from ...pictures.reading import read_ahead
from .extraction import Named
from .feature_set import Features
from .keys import name_by_file, name_by_place


class Taken(NamedTuple):
    """Features of a folder. unreadable: relative path -> why, of the pictures that are missing in them."""

    features: Features
    unreadable: Mapping[str, str]


class Folder:
    """The pictures of a folder in the order of their relative paths.

    path: absolute. subfolders: whether their pictures belong to it. names: relative paths, with slashes.
    left_out: lines about what looked like a picture and was not taken. state: changes when a picture comes, goes, or is
    another one, told by size and time.
    """

    def __init__(self, path: Path, subfolders: bool = False) -> None:
        """
        Raises:
            MissingFile: it holds no picture.
        """
        self.path = path.resolve()
        self.subfolders = subfolders
        listing = list_pictures(self.path, subfolders)
        self.left_out = left_out_lines(self.path, subfolders, listing)
        self._files = listing.files
        self.names = tuple(file.relative_to(self.path).as_posix() for file in self._files)
        stamps = "\n".join(
            f"{name} {fingerprint(file, lasting=True)}" for name, file in zip(self.names, self._files, strict=True)
        )
        self.state = hashlib.sha256(stamps.encode()).hexdigest()

    def take(
        self,
        extract: Callable[[Iterable[Named]], Features],
        skip_corrupt: bool = False,
        check_interrupted: Callable[[], None] = lambda: None,
    ) -> Taken:
        """Features of the pictures, by `extract`, which reads them in order, perhaps in another thread.

        A sample's name is its relative path with a hash of its pixels, its index the place among those that are read.

        Args:
            skip_corrupt: leave out what cannot be read.
            check_interrupted: called before each file that is looked through for an error that names all.

        Raises:
            BadInput: files cannot be read, and shall not be left out; names every one. Or none can be read.
        """
        unreadable: dict[str, str] = {}
        features = extract(self._read(unreadable, skip_corrupt))
        if unreadable and not skip_corrupt:
            self._look_through(unreadable, check_interrupted)
        taken = Taken(features._replace(readers=(READER,)), unreadable)
        check_readable(taken, skip_corrupt)
        return taken

    def _read(self, unreadable: dict[str, str], skip_corrupt: bool) -> Iterator[Named]:
        index = 0
        for name, reading in read_ahead(dict(zip(self.names, self._files, strict=True)), _read):
            try:
                sample, pixels = reading.result()
            except BadInput as error:
                unreadable[name] = str(error.__cause__)
                if not skip_corrupt:
                    return
                continue
            yield Named(sample, index, pixels)
            index += 1

    def names_by_file(self) -> Iterator[tuple[str, str]]:
        """Of every picture that can be read, the sample's name and the one that versions before 0.2 gave it."""
        for name, file in zip(self.names, self._files, strict=True):
            try:
                yield name_by_place(name, read_eight_bit(file)), name_by_file(name, file.read_bytes())
            except BadInput:
                continue

    def _look_through(self, unreadable: dict[str, str], check_interrupted: Callable[[], None]) -> None:
        """Add to the first file that cannot be read all others."""
        begun = self.names.index(next(iter(unreadable))) + 1
        for name, file in zip(self.names[begun:], self._files[begun:], strict=True):
            check_interrupted()
            try:
                read_eight_bit(file)
            except BadInput as error:
                unreadable[name] = str(error.__cause__)


def _read(name: str, file: Path) -> tuple[str, torch.Tensor]:
    """What a sample is called, and its pixels."""
    pixels = read_eight_bit(file)
    return name_by_place(name, pixels), pixels


def check_readable(taken: Taken, skip_corrupt: bool) -> None:
    """
    Raises:
        BadInput: pictures are missing and shall not be left out, or all of them are.
    """
    if taken.unreadable and not skip_corrupt:
        names = ", ".join(f"{name} ({why})" for name, why in taken.unreadable.items())
        raise BadInput(
            f"folder: {len(taken.unreadable)} files cannot be read as pictures: {names}; repair them, take them away, "
            "or switch skip_corrupt on."
        )
    if not taken.features.count:
        raise BadInput(f"folder: none of the {len(taken.unreadable)} pictures can be read; choose another folder.")


def unreadable_lines(taken: Taken) -> list[str]:
    """What is missing, to be read."""
    if not taken.unreadable:
        return []
    return [
        f"left out, not readable: {len(taken.unreadable)}",
        *(f"  {n}: {why}" for n, why in taken.unreadable.items()),
    ]
