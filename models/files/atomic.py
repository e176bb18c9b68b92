"""Files that appear whole or not at all, and writers that wait for each other."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

if sys.platform == "win32":
    import errno
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        while True:
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                return
            except OSError as error:
                # The system stops waiting after ten seconds.
                if error.errno != errno.EDEADLOCK:
                    raise

else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Until the block ends, or the process dies, nobody else who asks for this lock has it; they wait.

    The system's lock on a hidden file beside `path`, which stays there: two could pass at once while it is removed.
    """
    with open(path.with_name(f".{path.name}.lock"), "wb") as file:
        _lock(file)
        yield


@contextmanager
def unfinished(path: Path, mark: str = "") -> Iterator[Path]:
    """A hidden file beside `path` to write on; it takes its place at the end of the block, or vanishes if that fails.

    Of a process that is killed the hidden file remains, and the next one writes it anew; `path` is as it was. Writers
    of one file that may meet take the lock first, or each has a `mark` of its own for the hidden file's name.
    """
    part = path.with_name(f".{path.name}{mark}.part")
    try:
        # Some libraries let nobody but the owner read what they write; this is what other new files allow.
        part.touch()
        allowed = part.stat().st_mode
        yield part
        part.chmod(allowed)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """The same, opened for writing, and on the disk before it takes the place of `path`."""
    with unfinished(path) as part, open(part, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
