"""Where a relative path leads, and what tells that a file on disk is another one than before."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath

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

    Links are followed: it counts where a path ends up. The result has neither links nor '..' below `root`.
    what: the input that it came from, for the message.

    Raises:
        BadInput: an absolute path, or one that leads out of `root`, by '..' or by a link.
    """
    base = root.resolve()
    try:
        target = (base / name.replace("\\", "/")).resolve()
        _look_at(target)
    except (OSError, RuntimeError, ValueError) as error:  # a link to itself; a NUL; too long a name
        raise BadInput(f"{what}: {name!r} is no path ({error}); write another.") from error
    if PureWindowsPath(name).anchor or not target.is_relative_to(base):
        raise BadInput(
            f"{what}: {name!r} leads out of {root}, by itself or by a link; give a path that stays in that folder, "
            "relative to it."
        )
    return root / target.relative_to(base)


def _look_at(path: Path) -> None:
    """Raise what the system says against a path, but that nothing is there."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return


def file_inside(root: Path, name: str, what: str, example: str) -> Path:
    """The same, of a file: not `root` itself.

    example: of such a name, for the message.

    Raises:
        BadInput: see `path_inside`; or it names the folder itself, or leads through a file as if that were a folder.
    """
    path = path_inside(root, name, what)
    if path == root:
        raise BadInput(f"{what}: {name!r} is no name of a file; write, for example, {example}.")
    passed = next((parent for parent in path.parents if parent.is_relative_to(root) and parent.is_file()), None)
    if passed is not None:
        raise BadInput(
            f"{what}: {name!r} leads through {passed.name}, which is a file and no folder; write, for example, "
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
        raise BadInput(f"filename_prefix: {prefix!r} is no name of a file; write, for example, {example}.")
    return path
