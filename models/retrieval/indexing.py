"""The index of a folder: what its pictures are to an extractor, kept on disk and brought up to date."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import torch

from ..errors import BadInput, CannotDo
from ..pictures.image_files import read_eight_bit
from ..pictures.picture_folders import left_out_lines, list_pictures
from ..pictures.reading import read_ahead
from ..scoring.extractors.base import Extractor, Source
from ..scoring.features.extraction import Named, stream
from ..steps import Halving, OnStep, as_given, quiet
from .search import Nearest, nearest, unit_rows
from .store import IndexStore, Known, Stamp

WRITE_EVERY: Final = 30.0
"""Seconds of work that a process that is killed loses at most."""
NO_NUMBERS: Final = "the network gives values that are no numbers for it"


class FolderIndex(NamedTuple):
    """Pictures of a folder as rows of features.

    folder: absolute. source: of the features. rows: float32 [N, D] of length 1, mapped from the disk. names: for each
    row the relative paths of the files with these pixels, none where the picture is gone. digests: of the pixels, of
    each row. gone: bool [N], rows without names; None where there are none. unreadable: relative path -> why.
    """

    folder: Path
    source: Source
    rows: torch.Tensor
    names: tuple[tuple[str, ...], ...]
    digests: tuple[str, ...]
    gone: torch.Tensor | None
    unreadable: Mapping[str, str]

    @property
    def count(self) -> int:
        """Of pictures, those with equal pixels once."""
        return sum(map(bool, self.names))

    def nearest(self, queries: torch.Tensor, count: int, own: tuple[str, ...] = ()) -> Nearest:
        """See `search.nearest`; queries [Q, D] of any length. own: digest of the pixels of each query, which is then
        left out of what is found for it.

        Raises:
            BadInput: see `search.nearest`; or no other picture is left.
        """
        found = nearest(self.rows, unit_rows(queries), count + bool(own), self.gone)
        return _without(found, own, self.digests, count) if own else found


class Work(NamedTuple):
    """What bringing an index up to date has taken: files that are new or changed, of these looked at by the network;
    unchanged ones; and those that are gone. note: why it was not kept, or empty."""

    new: int
    described: int
    unchanged: int
    gone: int
    note: str = ""


def digest_of(pixels: torch.Tensor) -> str:
    """What tells a picture, uint8 [H, W, 3], from all others."""
    digest = hashlib.blake2b("x".join(str(side) for side in pixels.shape).encode(), digest_size=16)
    digest.update(pixels.contiguous().numpy().data)
    return digest.hexdigest()


class Indexing:
    """The way from a folder to its index, once.

    count: of the files that are to be read; the others are known by size and time. left_out: lines about what looked
    like a picture and was not taken.
    """

    def __init__(self, root: Path, folder: Path, subfolders: bool, extractor: Extractor) -> None:
        """root: of the cache.

        Raises:
            MissingFile: the folder holds no picture.
        """
        self._folder = folder.resolve()
        listing = list_pictures(self._folder, subfolders)
        self.left_out = left_out_lines(self._folder, subfolders, listing)
        self._files = {file.relative_to(self._folder).as_posix(): file for file in listing.files}
        self._extractor = extractor
        size = extractor.taps[extractor.main]
        self._store = IndexStore(root, self._folder, subfolders, extractor.source, extractor.main, size)
        self._held = self._store.read()
        self._stamps = {name: _stamp(file) for name, file in self._files.items()}
        before = self._held.files
        self._to_read = {
            name: file
            for name, file in self._files.items()
            if name not in before or before[name].stamp != self._stamps[name]
        }
        self._gone = len(before.keys() - self._files.keys())
        self.count = len(self._to_read)
        # What is read is filled in by another thread, in its own order; rows of what the store lacks by this one.
        self._read: dict[str, Known] = {}
        self._rows: dict[str, torch.Tensor] = {}
        self._note = ""

    def run(
        self,
        batch_size: int,
        on_step: OnStep = quiet,
        halving: Halving = as_given,
        check_interrupted: Callable[[], None] = lambda: None,
    ) -> tuple[FolderIndex, Work]:
        """Bring the index up to date. What was done is kept when it is interrupted.

        Args:
            on_step: hears how many of `count` files are done. check_interrupted: called before each file is taken, in
            another thread.

        Raises:
            BadInput: none of the pictures can be read.
        """
        described, written = 0, time.monotonic()
        names = list(self._to_read)
        useless: set[str] = set()
        pictures, taps = self._pictures(check_interrupted), (self._extractor.main,)
        try:
            for batch in stream(self._extractor, pictures, taps, batch_size, halving=halving):
                vectors = batch.answers.taps[0].float()
                numbers = torch.isfinite(vectors).all(dim=1).tolist()
                for place, row, good in zip(batch.indices.tolist(), unit_rows(vectors), numbers, strict=True):
                    digest = self._read[names[place]].digest or ""
                    if good:
                        self._rows[digest] = row
                    else:
                        useless.add(digest)
                described += len(vectors)
                on_step(int(batch.indices[-1]) + 1)
                if time.monotonic() - written > WRITE_EVERY:
                    self._keep()
                    written = time.monotonic()
        finally:
            for name, known in self._read.items():
                if known.digest in useless:
                    self._read[name] = Known(known.stamp, None, NO_NUMBERS)
            if self._read or self._gone:
                self._keep()
        self._store.used()
        index = self._index()
        if not index.count:
            reasons = ", ".join(f"{name} ({why})" for name, why in index.unreadable.items())
            raise BadInput(f"folder: none of its pictures can be read: {reasons}; choose another folder.")
        return index, Work(self.count, described, len(self._files) - self.count, self._gone, self._note)

    def _pictures(self, check_interrupted: Callable[[], None]) -> Iterator[Named]:
        """The pictures that the network has to look at, in their order."""
        coming: set[str] = set()
        for index, (name, reading) in enumerate(read_ahead(self._to_read, _read)):
            check_interrupted()
            try:
                digest, pixels = reading.result()
            except BadInput as error:
                self._read[name] = Known(self._stamps[name], None, str(error.__cause__))
                continue
            self._read[name] = Known(self._stamps[name], digest)
            if digest not in self._held.places and digest not in coming:
                coming.add(digest)
                yield Named(name, index, pixels)

    def _keep(self) -> None:
        """Write what was found so far; if that fails, it stays in memory, and the user is told."""
        try:
            self._held = self._store.add(dict(self._read), self._rows, self._files)
            self._rows, self._note = {}, ""
        except (OSError, CannotDo) as error:
            self._note = f"not kept for later runs: {error}"

    def _index(self) -> FolderIndex:
        held, new = self._held, list(self._rows)
        places = {**held.places, **{digest: held.count + number for number, digest in enumerate(new)}}
        names: list[list[str]] = [[] for _ in range(held.count + len(new))]
        digests = [""] * len(names)
        for digest, place in places.items():
            digests[place] = digest
        unreadable: dict[str, str] = {}
        for name in self._files:
            known = self._read.get(name) or held.files.get(name)
            if known is None or (known.digest is not None and known.digest not in places):
                # Another process has tidied the index meanwhile.
                unreadable[name] = "it was not read; run again"
            elif known.digest is None:
                unreadable[name] = known.why
            else:
                names[places[known.digest]].append(name)
        rows = self._store.rows(held)
        if new:
            rows = torch.cat([rows, torch.stack([self._rows[digest] for digest in new])])
        gone = None if all(names) else torch.tensor([not each for each in names])
        source = self._extractor.source
        return FolderIndex(self._folder, source, rows, tuple(map(tuple, names)), tuple(digests), gone, unreadable)


def _read(name: str, file: Path) -> tuple[str, torch.Tensor]:
    pixels = read_eight_bit(file)
    return digest_of(pixels), pixels


def _stamp(file: Path) -> Stamp:
    """Of no file where it has gone since the folder was listed: reading it says so."""
    try:
        told = file.stat()
    except OSError:
        return -1, -1
    return told.st_size, told.st_mtime_ns


def _without(found: Nearest, own: tuple[str, ...], digests: tuple[str, ...], count: int) -> Nearest:
    """Of one more neighbour than are wanted, those that are not the query itself."""
    scores, places = [], []
    for row, digest in enumerate(own):
        others = [at for at, place in enumerate(found.places[row].tolist()) if digests[place] != digest][:count]
        scores.append(found.scores[row, others])
        places.append(found.places[row, others])
    shortest = min(map(len, scores))
    if not shortest:
        raise BadInput("other_than_itself: the index holds no other picture than the query; switch it off.")
    return Nearest(torch.stack([s[:shortest] for s in scores]), torch.stack([p[:shortest] for p in places]))
