"""Features of folders, kept on disk until a picture, the extractor or a setting changes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import torch

from ...errors import CannotDo, TrilemmaError
from ...files.atomic import locked, sweep_parts
from ...pictures.image_files import READER
from ..extractors.base import Source
from .feature_files import load_stored, save
from .feature_set import Features
from .folder import Folder, Taken
from .keys import hash_keys, ranks

VERSION: Final = 2
"""To be raised when the same picture would give other features, or be another sample."""
BY_FILE: Final = 1
"""The version whose samples were told by their files' bytes."""
LIMIT: Final = 2**30
"""Bytes that the files take together; the one that was used longest ago goes first."""


class FolderCache:
    """Features of one folder, taken in one way: a file below `root`, which may be deleted at any time.

    The file is told by the folder's place and the settings; what it holds counts as long as the folder's state, names,
    sizes and times of its pictures, is the same.
    """

    def __init__(
        self, root: Path, folder: Folder, source: Source, taps: Sequence[str], capacity: int, seed: int
    ) -> None:
        """source, taps: of the extraction. capacity, seed: of the rows."""
        settings = [str(folder.path), folder.subfolders, *source.key, list(taps), capacity, seed]
        self._root = root
        self._file, self._older_file = (root / _name([version, *settings]) for version in (VERSION, BY_FILE))
        self._folder = folder

    def find(self) -> Taken | None:
        """What was kept, by 0.1 too; None where there is nothing, something else, or a broken file."""
        if (taken := self._read(self._file)) is not None:
            # Another process may have made room by it since.
            with suppress(OSError):
                os.utime(self._file)
            return taken
        older = self._read(self._older_file)
        features = None if older is None else _by_pixels(older.features, self._folder)
        if older is None or features is None:
            return None
        taken = older._replace(features=features)
        if not self.keep(taken):
            self._older_file.unlink(missing_ok=True)
        return taken

    def _read(self, file: Path) -> Taken | None:
        try:
            stored = load_stored(file)
        except TrilemmaError:
            return None
        unreadable = stored.notes.get("unreadable")
        if stored.notes.get("state") != self._folder.state or unreadable is None:
            return None
        return Taken(stored.features._replace(readers=(READER,)), unreadable)

    def keep(self, taken: Taken, limit: int = LIMIT) -> list[str]:
        """Write the file, in place of an older one; others give way until all take at most `limit` bytes.

        Returns lines for the user: that it could not be written, and why.
        """
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            with locked(self._root / "cache"):
                sweep_parts(self._root)
                save(self._file, taken.features, {"state": self._folder.state, "unreadable": taken.unreadable})
                self._make_room(limit)
        except (OSError, CannotDo) as error:
            return [f"not kept for later runs: {error}"]
        return []

    def _make_room(self, limit: int) -> None:
        others = [path for path in self._root.glob("*.npz") if path != self._file]
        total = self._file.stat().st_size
        for path in sorted(others, key=lambda path: path.stat().st_mtime_ns, reverse=True):
            total += path.stat().st_size
            if total > limit:
                path.unlink()


def _name(settings: list[Any]) -> str:
    return f"{hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:32]}.npz"


def _by_pixels(features: Features, folder: Folder) -> Features | None:
    """Features whose samples were told by their files' bytes, as if they had been taken anew.

    None where that takes the network: which rows are kept of many is another choice.
    """
    rows = features.rows
    if rows is None or len(rows.keys) < features.count:
        return None
    names = list(folder.names_by_file())
    now, then = hash_keys(name for name, _ in names), hash_keys(name for _, name in names)
    new = dict(zip(then.tolist(), now.tolist(), strict=True))
    if set(new) != set(features.keys.tolist()):
        return None
    keys = torch.tensor([new[key] for key in rows.keys.tolist()], dtype=torch.int64)
    order = ranks(keys, rows.seed).argsort()
    return features._replace(rows=rows._replace(keys=keys[order], values=rows.values[order]), keys=keys.sort().values)
