"""Folders of pictures: which files they hold, in which order, and what looks like a picture and is none of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from PIL import Image

from ..errors import MissingFile
from ..files.paths import fingerprint, path_inside

COMMON: Final = (
    ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp", ".apng", ".avif", ".dib", ".jfif", ".jp2",
    ".jpe", ".mpo", ".pbm", ".pgm", ".pnm", ".ppm", ".tga",
)  # fmt: skip
"""Endings of pictures. A file that has one and cannot be read is an error, not another kind of file."""
NEVER: Final = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"})
"""Formats that Pillow knows by name but cannot draw by itself."""
UNREADABLE: Final = (
    ".ai", ".arw", ".cr2", ".cr3", ".dng", ".emf", ".eps", ".exr", ".hdr", ".heic", ".heif", ".jxl", ".jxr", ".nef",
    ".npy", ".orf", ".pef", ".ps", ".raf", ".raw", ".rw2", ".svg", ".wmf",
)  # fmt: skip
"""Endings of pictures that Pillow does not read, or not without another program."""
SIGNATURES: Final = (
    b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*", b"\xff\x0a", b"\0\0\0\x0cJXL ", b"8BPS", b"qoif",
)  # fmt: skip
BRANDS: Final = (b"ftypavif", b"ftypheic", b"ftypheix", b"ftypmif1", b"WEBP")
"""Of files that begin with the length of their first part: four or eight bytes later."""
MANY: Final = 1000
"""Pictures below a folder, from which on they are not counted exactly."""


class Listing(NamedTuple):
    """Of a folder. files: its pictures, sorted by their relative path. left_out: relative path -> why, of what looked
    like a picture and was not taken."""

    files: tuple[Path, ...]
    left_out: Mapping[str, str]


def folder_inside(root: Path, name: str) -> Path:
    """The folder that a relative path, with slashes of either kind, means below `root`.

    Raises:
        BadInput: an absolute path, or one that leads out of `root`.
        MissingFile: there is no such folder.
    """
    folder = path_inside(root, name, "folder")
    if not folder.is_dir():
        raise MissingFile(f"folder: there is no folder {name!r} in {root}; put the pictures there.")
    return folder


def list_pictures(folder: Path, subfolders: bool = False) -> Listing:
    """The pictures of a folder, told by their ending, in small or capital letters: all kinds that Pillow opens.

    Of the rarer endings, which other programs use too, those count whose files Pillow knows. Links are followed, but
    not into a folder that they lie in. What is hidden, by a name that begins with a dot, is left out.

    Raises:
        MissingFile: it holds none.
    """
    files: list[Path] = []
    left_out: dict[str, str] = {}
    for path in _walk(folder, subfolders):
        why = _why_not(path)
        if why is None:
            files.append(path)
        elif why:
            left_out[path.relative_to(folder).as_posix()] = why
    if not files:
        raise MissingFile(_none_in(folder, subfolders, left_out))
    return Listing(tuple(sorted(files, key=lambda path: path.relative_to(folder).as_posix())), left_out)


def left_out_lines(folder: Path, subfolders: bool, listing: Listing) -> list[str]:
    """What looked like a picture and was not taken, to be read."""
    below = "" if subfolders else _below(folder)
    told = [f"  {name}: {why}" for name, why in sorted(listing.left_out.items())]
    return [
        *([f"not taken: {below}; switch subfolders on"] if below else []),
        *([f"not taken, though it looks like a picture: {len(told)}"] if told else []),
        *told,
    ]


def folder_state(folder: Path) -> str:
    """For IS_CHANGED: what changes with a picture in the folder or below it, or with what was left out."""
    state = []
    for path in _walk(folder, True):
        if _why_not(path) != "":
            name = path.relative_to(folder).as_posix()
            state.append(f"{name} {fingerprint(path) if path.is_file() else None}")
    return "\n".join(sorted(state))


def _walk(folder: Path, subfolders: bool, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[Path]:
    """What lies in a folder besides folders, and below it; of folders those that cannot be read.

    above: devices and inodes of the folders that it lies in.
    """
    try:
        here = folder.stat()
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        if not above:
            raise
        yield folder
        return
    place = (here.st_dev, here.st_ino)
    if place in above:
        return
    for entry in found:
        path = folder / entry.name
        if not _is_folder(entry):
            yield path
        elif subfolders and not entry.name.startswith("."):
            yield from _walk(path, True, above | {place})


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _why_not(path: Path) -> str | None:
    """None for a picture that is taken, the reason for what looks like one and is not, empty for anything else."""
    ending = path.suffix.lower()
    known = ending in COMMON or ending in _rare()
    if path.is_dir():
        return "a folder that cannot be read"
    if not known and ending not in UNREADABLE:
        return "its name has no ending of a picture" if _begins_like_one(path) else ""
    if path.name.startswith("."):
        return "hidden, for its name begins with a dot"
    if not path.is_file():
        return "a link to nothing" if path.is_symlink() else ""
    if ending in COMMON and ending in _opened():
        return None
    if ending in _rare():
        return None if _opens(path) else f"Pillow does not know it as {ending}"
    return f"Pillow does not read {ending} files; convert it to PNG"


@cache
def _opened() -> frozenset[str]:
    """Endings that the Pillow at hand opens and draws; its plug-ins bring their own."""
    kinds = Image.registered_extensions()
    # An MPO is a JPEG with further pictures in it, and is opened as one.
    return frozenset({".mpo", *(ending for ending, kind in kinds.items() if kind in Image.OPEN and kind not in NEVER)})


def _rare() -> frozenset[str]:
    return _opened() - set(COMMON)


def _opens(path: Path) -> bool:
    try:
        with Image.open(path):
            return True
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False


def _begins_like_one(path: Path) -> bool:
    if path.name.startswith(".") or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            begun = file.read(16)
    except OSError:
        return False
    return begun.startswith(SIGNATURES) or any(begun.startswith(brand, at) for brand in BRANDS for at in (4, 8))


def _below(folder: Path) -> str:
    """How many pictures lie in subfolders of a folder, and in which; empty where there are none."""
    pictures = (path for path in _walk(folder, True) if path.parent != folder and _why_not(path) is None)
    found = list(islice(pictures, MANY))
    if not found:
        return ""
    names = list(dict.fromkeys(path.relative_to(folder).parts[0] for path in found))
    count = f"{MANY:,} or more" if len(found) == MANY else str(len(found))
    where = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{count} {'picture lies' if len(found) == 1 else 'pictures lie'} in subfolders ({where})"


def _none_in(folder: Path, subfolders: bool, left_out: Mapping[str, str]) -> str:
    below = "" if subfolders else _below(folder)
    if below:
        return f"folder: {folder} holds no picture itself, but {below}; switch subfolders on."
    if left_out:
        name, why = next(iter(left_out.items()))
        more = f", and {len(left_out) - 1} more" if len(left_out) > 1 else ""
        return (
            f"folder: {folder} holds no picture that can be taken, only {name} ({why}){more}; convert or rename them."
        )
    return f"folder: {folder} holds no picture ({', '.join(COMMON)}); put some there."
