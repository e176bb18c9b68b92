"""Where a relative path leads, and what tells that a file on disk is another one than before."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

from ..errors import BadInput


def fingerprint(*paths: Path) -> str:
    """Names, sizes and modification times of files, and of all files in folders: changes when one is replaced."""
    files = [
        (file.relative_to(path.parent).as_posix(), file.stat())
        for path in paths
        for file in (sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path])
    ]
    return ";".join(f"{name}:{stat.st_size}:{stat.st_mtime_ns}" for name, stat in files)


def path_inside(root: Path, name: str, what: str) -> Path:
    """The path that a relative one, with slashes of either kind, means below `root`, whether or not it is there.

    what: the input that it came from, for the message.

    Raises:
        BadInput: an absolute path, or one that leads out of `root`.
    """
    posix = name.replace("\\", "/")
    if PureWindowsPath(name).anchor or ".." in PurePosixPath(posix).parts:
        raise BadInput(f"{what}: {name!r} leads out of {root}; give a path relative to that folder, without '..'.")
    return root / posix


def prefix_inside(root: Path, prefix: str, example: str) -> Path:
    """The path below `root` that the names of new files begin with: the input `filename_prefix`.

    example: of a prefix, for the message.

    Raises:
        BadInput: see `path_inside`; or it names a folder instead of the beginning of a file's name.
    """
    path = path_inside(root, prefix, "filename_prefix")
    if path == root or prefix.endswith(("/", "\\")):
        raise BadInput(f"filename_prefix: {prefix!r} is no name of a file; write, for example, {example}.")
    return path
