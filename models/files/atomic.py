"""Files that appear whole or not at all, writers that wait for each other, and what killed ones left taken away."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from ..errors import CannotDo, TrilemmaError

PART: Final = re.compile(r"\..+\.part")
"""Names of what is being written: folders of `unfinished`, and the files of earlier versions."""
LIBRARY: Final = re.compile(r"\.tmp[0-9A-Za-z]{6}")
"""Names under which safetensors writes, beside the file that it is asked for."""
LOCK: Final = "lock"
NAME_SHOWN: Final = 40
SETTLED: Final = 60.0
"""Seconds after which a folder without a lock is one that was left: its writer makes the lock at once."""

if sys.platform == "win32":
    import errno
    import msvcrt

    def _lock(file: BinaryIO, wait: bool = True) -> None:
        while True:
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
                return
            except OSError as error:
                # The system stops waiting after ten seconds.
                if not wait or error.errno != errno.EDEADLOCK:
                    raise

else:
    import fcntl

    def _lock(file: BinaryIO, wait: bool = True) -> None:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Until the block ends, or the process dies, nobody else who asks for this lock has it; they wait.

    The system's lock on a hidden file beside `path`, which stays there: two could pass at once while it is removed.

    Raises:
        CannotDo: the file cannot be made.
    """
    with ExitStack() as held:
        with _told(path):
            file = held.enter_context(open(path.with_name(f".{path.name}.lock"), "ab"))
            _lock(file)
        yield


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """A file to write on; it takes the place of `path` at the end of the block, or vanishes if that fails.

    It lies in a hidden folder beside `path`, alone with a lock that its writer holds, so that whatever a library puts
    beside it vanishes too. Of a process that is killed the folder remains, until the next writer calls `sweep_parts`.
    Writers of one file that may meet take the lock of `locked` first, else the last one wins.

    Raises:
        CannotDo: it cannot be written: no room, no permission; says what was being written, and where.
    """
    with _told(path):
        folder, lock = _work_folder(path)
        try:
            part = folder / path.name
            # Some libraries let nobody but the owner read what they write; this is what other new files allow.
            part.touch()
            allowed = part.stat().st_mode
            yield part
            part.chmod(allowed)
            os.replace(part, path)
        finally:
            lock.close()
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """The same, opened for writing, and on the disk before it takes the place of `path`."""
    with unfinished(path) as part, open(part, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def extending(path: Path, kept: int) -> Iterator[BinaryIO]:
    """A file, opened for writing behind its first `kept` bytes, which stay, and on the disk at the end of the block.

    What lies behind them before is what a killed writer left. Nobody may read beyond `kept` until another file, which
    is replaced as a whole, says that there is more. Writers take the lock of `locked` first.

    Raises:
        CannotDo: see `unfinished`.
    """
    with _told(path), open(path, "r+b" if kept else "wb") as file:
        # Not cut off: Windows refuses that while anybody has a part of the file in memory.
        file.seek(kept)
        yield file
        file.flush()
        os.fsync(file.fileno())


def sweep_parts(folder: Path) -> None:
    """Take away what writers that were killed left in a folder; what a living process writes stays.

    Writers call it once for each run. Neither what cannot be removed nor a folder that is not there is an error.
    """
    try:
        with os.scandir(folder) as entries:
            left = [entry for entry in entries if PART.fullmatch(entry.name) or LIBRARY.fullmatch(entry.name)]
    except OSError:
        return
    for entry in left:
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            if PART.fullmatch(entry.name):
                _remove_left(path)
        elif entry.is_file(follow_symlinks=False) and not _is_open(path):
            _remove(path)


def _work_folder(path: Path) -> tuple[Path, BinaryIO]:
    """A new folder beside `path`, and the lock in it that is held as long as it is open."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name[:NAME_SHOWN]}.", suffix=".part", dir=path.parent))
        try:
            lock = open(folder / LOCK, "wb")  # noqa: SIM115 (the caller closes it)
        except FileNotFoundError:
            continue
        try:
            _lock(lock)
        except OSError:
            # No locks on this file system: then nobody takes the folder for left.
            return folder, lock
        if (folder / LOCK).exists():
            return folder, lock
        # Another writer's sweep came between the two steps.
        lock.close()


def _remove_left(folder: Path) -> None:
    """Remove a folder of `unfinished` whose writer is dead; one that vanishes meanwhile had a living one."""
    try:
        with open(folder / LOCK, "rb+") as lock:
            _lock(lock, wait=False)
            # Under the lock: a writer that has just made its folder waits for it, and then sees that it is gone.
            shutil.rmtree(folder, ignore_errors=True)
        # Windows removes no open file; one that is open still, or again, has a writer.
        (folder / LOCK).unlink(missing_ok=True)
    except FileNotFoundError:
        try:
            if time.time() - folder.stat().st_mtime < SETTLED:
                return
        except OSError:
            return
    except OSError:
        return
    shutil.rmtree(folder, ignore_errors=True)


def _is_open(path: Path) -> bool:
    """Whether a process has a file open: one of ours, for those of others may not be asked."""
    import psutil

    try:
        if hasattr(os, "getuid") and path.stat().st_uid != os.getuid():
            return True
        place = str(path.resolve())
    except OSError:
        return True
    for process in psutil.process_iter():
        try:
            if any(file.path == place for file in process.open_files()):
                return True
        except (psutil.Error, OSError):
            continue
    return False


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError:
        return


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Errors of the system say what was being written, and where."""
    try:
        yield
    except OSError as error:
        if isinstance(error, TrilemmaError):
            raise
        reason = error.strerror or str(error)
        raise CannotDo(
            f"output: {path.name} cannot be written into {path.parent} ({reason}); make room there, or choose another "
            "folder."
        ) from error
