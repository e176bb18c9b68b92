"""Features of folders, kept on disk until a picture, the extractor or a setting changes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Final

from ...errors import TrilemmaError
from ...files.atomic import locked
from ..extractors.base import Source
from .feature_files import load_stored, save
from .folder import Folder, Taken

VERSION: Final = 1
"""To be raised when the same picture would give other features, or be another sample."""
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
        settings = [VERSION, str(folder.path), folder.subfolders, *astuple(source), list(taps), capacity, seed]
        self._root = root
        self._file = root / f"{hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:32]}.npz"
        self._state = folder.state

    def find(self) -> Taken | None:
        """What was kept; None where there is nothing, something else, or a broken file."""
        try:
            stored = load_stored(self._file)
        except TrilemmaError:
            return None
        if stored.notes.get("state") != self._state:
            return None
        os.utime(self._file)
        return Taken(stored.features, stored.notes["unreadable"])

    def keep(self, taken: Taken, limit: int = LIMIT) -> list[str]:
        """Write the file, in place of an older one; others give way until all take at most `limit` bytes.

        Returns lines for the user: that it could not be written, and why.
        """
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            with locked(self._root / "cache"):
                # Of a process that was killed: nobody else writes here now.
                for part in self._root.glob(".*.part"):
                    part.unlink()
                save(self._file, taken.features, {"state": self._state, "unreadable": taken.unreadable})
                self._make_room(limit)
        except OSError as error:
            return [f"not kept for later runs: {error}"]
        return []

    def _make_room(self, limit: int) -> None:
        others = [path for path in self._root.glob("*.npz") if path != self._file]
        total = self._file.stat().st_size
        for path in sorted(others, key=lambda path: path.stat().st_mtime_ns, reverse=True):
            total += path.stat().st_size
            if total > limit:
                path.unlink()
