"""Where a relative path leads, and what tells that a file on disk is another one than before."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path, PureWindowsPath
from typing import Final

from ..errors import BadInput

DEVICE: Final = re.compile(
    r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(\..*)?", re.IGNORECASE | re.DOTALL
)
"""Names that Windows keeps for devices, in every folder and with any ending."""
SHOWN: Final = 80
"""Characters of a name in a message."""


def fingerprint(*paths: Path, lasting: bool = False) -> str:
    """Names, sizes and times of files, and of all files in folders: changes when one is replaced.

    Two times: that of the modification is, where a tool has copied or unpacked the file, another file's of as many
    bytes too; that of the last change is set by the system alone. lasting: without the second, for what is kept on
    disk: a copy of the folder, or other permissions, are no change.
    """
    files = [
        (file.relative_to(path.parent).as_posix(), file.stat())
        for path in paths
        for file in (sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path])
    ]
    return ";".join(
        f"{name}:{stat.st_size}:{stat.st_mtime_ns}{'' if lasting else f':{stat.st_ctime_ns}'}" for name, stat in files
    )


def path_inside(root: Path, name: str, what: str) -> Path:
    """The path that a relative one, with slashes of either kind, means below `root`, whether or not it is there.

    Links are followed: it counts where a path ends up. The result has neither links nor '..' below `root`.
    what: the input that it came from, for the message.

    Raises:
        BadInput: an absolute path, or one that leads out of `root`, by '..' or by a link. A pipe or a device. A name
            that is Windows' own for a device, such as CON, unless this is another system that has a file of that name.
    """
    base = root.resolve()
    shown = repr(name[:SHOWN])
    try:
        target = (base / name.replace("\\", "/")).resolve()
        mode = _look_at(target)
    except (OSError, RuntimeError, ValueError) as error:  # a link to itself; a NUL, half a character; too long a name
        reason = getattr(error, "strerror", None) or str(error)
        raise BadInput(f"{what}: {shown} is no path ({reason[:SHOWN]}); write another.") from error
    if PureWindowsPath(name).anchor or not target.is_relative_to(base):
        raise BadInput(
            f"{what}: {shown} leads out of {root}, by itself or by a link; give a path that stays in that folder, "
            "relative to it."
        )
    device = next((part for part in target.relative_to(base).parts if DEVICE.fullmatch(part)), None)
    if device is not None and (os.name == "nt" or mode is None):
        raise BadInput(f"{what}: Windows takes {device[:SHOWN]} for a device, wherever it lies; write another name.")
    if mode is not None and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        # Whoever opens a pipe waits until somebody writes into it, and hears no interrupt.
        raise BadInput(f"{what}: {shown} is a pipe or a device, and neither a file nor a folder; choose another.")
    return root / target.relative_to(base)


def _look_at(path: Path) -> int | None:
    """What kind of thing is there, as `stat` tells; None for nothing. Raises whatever else the system says."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def file_inside(root: Path, name: str, what: str, example: str) -> Path:
    """The same, of a file: not `root` itself.

    example: of such a name, for the message.

    Raises:
        BadInput: see `path_inside`; or it names the folder itself, or leads through a file as if that were a folder.
    """
    path = path_inside(root, name, what)
    if path == root:
        raise BadInput(f"{what}: {name[:SHOWN]!r} is no name of a file; write, for example, {example}.")
    passed = next((parent for parent in path.parents if parent.is_relative_to(root) and parent.is_file()), None)
    if passed is not None:
        raise BadInput(
            f"{what}: {name[:SHOWN]!r} leads through {passed.name}, which is a file and no folder; write, for example, "
            f"{example}."
        )
    return path


def prefix_inside(root: Path, prefix: str, example: str) -> Path:
    """The path below `root` that the names of new files begin with: the input `filename_prefix`.

    example: of a prefix, for the message.

    Raises:
        BadInput: see `path_inside`; or it names a folder instead of the beginning of a file's name.
    """
    path = file_inside(root, prefix, "filename_prefix", example)
    if prefix.endswith(("/", "\\")):
        raise BadInput(f"filename_prefix: {prefix[:SHOWN]!r} is no name of a file; write, for example, {example}.")
    return path
