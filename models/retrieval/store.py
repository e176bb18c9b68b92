"""Indexes on disk: rows of features in one file that only grows, and what they are of in another, replaced as a whole.

A reader maps as many rows as the second file tells, and these never change; so several processes may read while one of
them writes, and a writer that is killed leaves at most bytes that nobody reads.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final, NamedTuple

import torch

from ..files.atomic import extending, locked, replacing, sweep_parts
from ..scoring.extractors.base import Source

VERSION: Final = 1
"""To be raised when the same picture would give another row."""
LIMIT: Final = 4 * 2**30
"""Bytes that the indexes of a cache take together; the one that was used longest ago goes first."""
FLOAT: Final = 4
"""Bytes of a value."""
SPARE: Final = 1024
"""Rows of pictures that are gone, up to which a file is never written anew."""

Stamp = tuple[int, int]
"""Size in bytes and modification time in nanoseconds of a file."""


class Known(NamedTuple):
    """A file that was read. digest: of its pixels; None where it cannot be read, and why says the reason."""

    stamp: Stamp
    digest: str | None
    why: str = ""


@dataclass(frozen=True)
class Contents:
    """What an index holds.

    files: relative path -> what is known of it. places: digest of pixels -> its row. count, size: rows and values of
    each in the file named `rows`.
    """

    files: Mapping[str, Known] = field(default_factory=dict)
    places: Mapping[str, int] = field(default_factory=dict)
    count: int = 0
    size: int = 0
    rows: str = ""


class IndexStore:
    """The index of one folder by one extractor: two files below `root`, which may be deleted at any time."""

    def __init__(self, root: Path, folder: Path, subfolders: bool, source: Source, tap: str, size: int) -> None:
        """source, tap: of the features. size: values of a row."""
        settings = [VERSION, str(folder), subfolders, *source.key, tap, size]
        self._root = root
        self._name = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:32]
        self._table = root / f"{self._name}.json"
        self._size = size

    def read(self) -> Contents:
        """What is there; nothing where there are no files, or broken ones."""
        try:
            told = json.loads(self._table.read_bytes())
            files = {
                str(name): Known((int(size), int(time)), digest, str(why))
                for name, (size, time, digest, why) in told["files"].items()
            }
            places = {str(digest): int(place) for digest, place in told["places"].items()}
            found = Contents(files, places, int(told["count"]), int(told["size"]), str(told["rows"]))
            held = (self._root / found.rows).stat().st_size if found.count else 0
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return Contents(size=self._size)
        whole = found.size == self._size and held >= found.count * found.size * FLOAT
        whole = whole and all(0 <= place < found.count for place in places.values())
        whole = whole and Path(found.rows).name == found.rows
        whole = whole and all(known.digest is None or known.digest in places for known in files.values())
        return found if whole else Contents(size=self._size)

    def rows(self, contents: Contents) -> torch.Tensor:
        """float32 [count, size], mapped from the disk: read as it is looked at, and given back when memory is short."""
        if not contents.count:
            return torch.empty(0, self._size)
        # Private: nothing that is done to it reaches the disk.
        values = torch.from_file(
            str(self._root / contents.rows), shared=False, size=contents.count * self._size, dtype=torch.float32
        )
        return values.view(contents.count, self._size)

    def add(
        self, files: Mapping[str, Known], rows: Mapping[str, torch.Tensor], present: Iterable[str], limit: int = LIMIT
    ) -> Contents:
        """Write what was found, beside what another process has written since, and give what is there then.

        files: those that were read. rows: digest -> float32 [size], of those that the index lacked. present: the names
        of all files that are in the folder now; what others have said of it no longer counts.

        Raises:
            CannotDo: it cannot be written.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        with locked(self._root / "index"):
            sweep_parts(self._root)
            held = self.read()
            new = {digest: row for digest, row in rows.items() if digest not in held.places}
            places = {**held.places, **{digest: held.count + number for number, digest in enumerate(new)}}
            told = {**held.files, **files}
            kept = {name: told[name] for name in present if name in told and _placed(told[name], places)}
            found = Contents(kept, places, held.count + len(new), self._size, held.rows or self._new_rows())
            if new:
                with extending(self._root / found.rows, held.count * self._size * FLOAT) as file:
                    file.write(torch.stack(list(new.values())).contiguous().numpy().data)
            if found.count - len(_live(found)) > max(SPARE, found.count // 2):
                found = self._rewritten(found)
            with replacing(self._table) as file:
                file.write(_as_json(found))
            self._make_room(found, limit)
        return found

    def used(self) -> None:
        """Note that the index was used, so that others give way to it."""
        try:
            os.utime(self._table)
        except OSError:
            return

    def _rewritten(self, contents: Contents) -> Contents:
        """The same without the rows of pictures that are gone, in a new file: others may have the old one mapped."""
        live = sorted(_live(contents), key=contents.places.__getitem__)
        rows = self.rows(contents)[[contents.places[digest] for digest in live]]
        name = self._new_rows()
        with replacing(self._root / name) as file:
            file.write(rows.numpy().data)
        return replace(contents, places={digest: row for row, digest in enumerate(live)}, count=len(live), rows=name)

    def _new_rows(self) -> str:
        """Name of a file of rows that nobody has mapped: none has it."""
        numbers = [int(path.name.split(".")[1]) for path in self._root.glob(f"{self._name}.*.rows")]
        return f"{self._name}.{max(numbers, default=-1) + 1}.rows"

    def _make_room(self, mine: Contents, limit: int) -> None:
        for stale in self._root.glob(f"{self._name}.*.rows"):
            if stale.name != mine.rows:
                _remove(stale)
        total = mine.count * self._size * FLOAT
        tables = [path for path in self._root.glob("*.json") if path != self._table]
        for table in sorted(tables, key=_time, reverse=True):
            parts = [table, *self._root.glob(f"{table.stem}.*.rows")]
            total += sum(part.stat().st_size for part in parts if part.exists())
            if total > limit:
                for part in parts:
                    _remove(part)


def _live(contents: Contents) -> set[str]:
    """Digests of the pictures that are there."""
    return {known.digest for known in contents.files.values() if known.digest is not None}


def _placed(known: Known, places: Mapping[str, int]) -> bool:
    return known.digest is None or known.digest in places


def _as_json(contents: Contents) -> bytes:
    told = asdict(replace(contents, files={}, places={}))
    told["files"] = {name: [*known.stamp, known.digest, known.why] for name, known in contents.files.items()}
    told["places"] = dict(contents.places)
    return json.dumps(told).encode()


def _time(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _remove(path: Path) -> None:
    """Windows removes nothing that somebody has mapped; a later turn does."""
    try:
        path.unlink()
    except OSError:
        return
