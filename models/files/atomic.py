"""Files that appear whole or not at all, writers that wait for each other, and what killed ones left taken away."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from ..errors import CannotDo, TrilemmaError

PART: Final = re.compile(r"\..+\.part")
"""Names of what is being written: folders of `unfinished`, and the files of earlier versions."""
LIBRARY: Final = re.compile(r"\.tmp[0-9A-Za-z]{6}")
"""Names under which safetensors writes, beside the file that it is asked for."""
LOCK: Final = "lock"
WHOLE: Final = "whole"
"""The folder of files that are all written, and have only to appear."""
NAME_SHOWN: Final = 40
SETTLED: Final = 60.0
"""Seconds after which a folder without a lock is one that was left: its writer makes the lock at once."""

HELD: Final = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
"""What systems say of a lock that another has."""

if sys.platform == "win32":
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
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Until the block ends, or the process dies, nobody else who asks for this lock has it; they wait.

    The system's lock on a hidden file beside `path`, which stays there: two could pass at once while it is removed.

    Raises:
        CannotDo: the file cannot be made.
        Taken: somebody has the lock, and `wait` is off.
    """
    with ExitStack() as held:
        with _told(path):
            file = held.enter_context(open(path.with_name(f".{path.name}.lock"), "ab"))
            try:
                _lock(file, wait)
            except OSError as error:
                if not wait and error.errno in HELD:
                    raise Taken(path.name) from error
                raise
        yield


class Taken(Exception):
    """Somebody else has made the file meanwhile, or holds the lock."""


@contextmanager
def unfinished(path: Path, new: bool = False) -> Iterator[Path]:
    """A file to write on; it takes the place of `path` at the end of the block, or vanishes if that fails.

    It lies in a hidden folder beside `path`, alone with a lock that its writer holds, so that whatever a library puts
    beside it vanishes too. Of a process that is killed the folder remains, until the next writer calls `sweep_parts`.
    Writers of one file that may meet take the lock of `locked` first, else the last one wins. new: only if there is no
    such file at the end.

    Raises:
        CannotDo: it cannot be written: no room, no permission; says what was being written, and where.
        Taken: there is such a file, and it was to be a new one.
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
            if not new or not _linked(part, path):
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


def write_together(folder: Path, files: Mapping[str, bytes]) -> None:
    """New files of a folder, by their names: all of them appear, or none.

    Of a process that is killed while they appear, the next one that calls `sweep_parts` has the rest appear.

    Raises:
        CannotDo: see `unfinished`.
    """
    first = folder / next(iter(files))
    with _told(first):
        work, lock = _work_folder(first)
        try:
            _fill(work / "begun", files)
            (work / "begun").rename(work / WHOLE)
            _appear(work)
        except BaseException:
            for name in files:
                (folder / name).unlink(missing_ok=True)
            raise
        finally:
            lock.close()
            shutil.rmtree(work, ignore_errors=True)


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """A new folder with these files, by their names: it appears with all of them, or not at all.

    Raises:
        CannotDo: see `unfinished`.
    """
    with _told(path):
        work, lock = _work_folder(path)
        try:
            _fill(work / path.name, files)
            (work / path.name).rename(path)
        finally:
            lock.close()
            shutil.rmtree(work, ignore_errors=True)


def make_folder(path: Path) -> None:
    """The folder, and those that it lies in, where they are not there.

    Raises:
        CannotDo: see `unfinished`.
    """
    with _told(path):
        path.mkdir(parents=True, exist_ok=True)


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


def _linked(part: Path, path: Path) -> bool:
    """Gives the file this name too; False on a file system without links.

    Raises:
        Taken: the name is another file's. No other way to name a file fails then.
    """
    try:
        os.link(part, path)
    except FileExistsError as error:
        raise Taken(path.name) from error
    except OSError:
        return False
    return True


def _fill(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir()
    for name, data in files.items():
        with open(folder / name, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


def _appear(work: Path) -> None:
    """Has the files of `write_together` take their places, as far as they have not yet."""
    for file in sorted((work / WHOLE).iterdir()):
        os.replace(file, work.parent / file.name)


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
            if (folder / WHOLE).is_dir():
                _appear(folder)
            # Under the lock: a writer that has just made its folder waits for it, and then sees that it is gone.
            shutil.rmtree(folder, ignore_errors=True)
        # Windows removes no open file; one that is open still, or again, has a writer.
        (folder / LOCK).unlink(missing_ok=True)
    except FileNotFoundError:
        try:
            # Either way: a clock that was set back since has folders of the future.
            if abs(time.time() - folder.stat().st_mtime) < SETTLED:
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
