"""Folders of pictures: which files they hold, in which order, and what is in one."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

import numpy as np
import torch
from PIL import Image, ImageOps

from .errors import BadInput, MissingFile

EXTENSIONS: Final = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def folder_inside(root: Path, name: str) -> Path:
    """The folder that a relative path, with slashes of either kind, means below `root`.

    Raises:
        BadInput: an absolute path, or one that leads out of `root`.
        MissingFile: there is no such folder.
    """
    posix = name.replace("\\", "/")
    if PureWindowsPath(name).anchor or ".." in PurePosixPath(posix).parts:
        raise BadInput(f"folder: {name!r} leads out of {root}; give a path relative to that folder, without '..'.")
    folder = root / posix
    if not folder.is_dir():
        raise MissingFile(f"folder: there is no folder {name!r} in {root}; put the pictures there.")
    return folder


def picture_files(folder: Path, subfolders: bool = False) -> list[Path]:
    """The pictures of a folder, told by their ending, sorted by their relative path; hidden files are none.

    Raises:
        MissingFile: it holds none.
    """
    found = folder.rglob("*") if subfolders else folder.iterdir()
    relative = [path.relative_to(folder) for path in found if path.suffix.lower() in EXTENSIONS and path.is_file()]
    visible = [path for path in relative if not any(part.startswith(".") for part in path.parts)]
    if not visible:
        raise MissingFile(f"folder: {folder} holds no picture ({', '.join(EXTENSIONS)}); put some there.")
    return [folder / path for path in sorted(visible, key=Path.as_posix)]


def read_picture(path: Path) -> torch.Tensor:
    """A picture, the first frame of an animated one, turned as its EXIF says: float32 [H, W, 3], 0..1.

    An alpha channel is dropped, as the host's Load Image does.

    Raises:
        BadInput: the file is broken, or no picture; names it.
    """
    try:
        with Image.open(path) as file:
            upright = ImageOps.exif_transpose(file)
            # 16 bits for each pixel: Pillow would clip them at 255.
            deep = upright.mode.startswith("I")
            pixels = np.asarray(upright if deep else upright.convert("RGB"), dtype=np.float32)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadInput(f"folder: {path} cannot be read as a picture ({error}); repair it, or take it away.") from error
    picture = torch.from_numpy(pixels / (65535 if deep else 255))
    return picture[..., None].expand(-1, -1, 3).clamp(0, 1).contiguous() if deep else picture
