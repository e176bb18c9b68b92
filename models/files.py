"""What tells that a file on disk is another one than before."""

from __future__ import annotations

from pathlib import Path


def fingerprint(path: Path) -> str:
    """Names, sizes and modification times of a file, or of all files in a folder: changes when one is replaced."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    stats = ((file.relative_to(path.parent).as_posix(), file.stat()) for file in files)
    return ";".join(f"{name}:{stat.st_size}:{stat.st_mtime_ns}" for name, stat in stats)
