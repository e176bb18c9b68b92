"""What the nodes share that read files of the host's input or output folder: the choice, and whether they changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from ... import host
from ...models.errors import BadInput, MissingFile
from ...models.files.paths import fingerprint, path_inside
from ...models.pictures import image_batches
from ...models.pictures.image_batches import RESIZES
from ...models.pictures.picture_folders import folder_inside, folder_state, left_out_lines, list_pictures
from . import inputs

LOCATIONS: Final = ("input", "output")
CACHE: Final = Path("trilemma", "cache")
"""Below the output folder, which outlives a restart."""


def location(what: str, first: str = "input") -> inputs.Input:
    """The choice of a host's folder. what: the input that is relative to it. first: which of them is the default."""
    others = (place for place in LOCATIONS if place != first)
    return inputs.choice([first, *others], f"Which of the host's folders `{what}` is in.")


def subfolders() -> inputs.Input:
    """Whether a folder's pictures are all below it."""
    return inputs.boolean(False, "Take the pictures of subfolders too.")


def one_size(first: image_batches.Resize = "none") -> dict[str, inputs.Input]:
    """How pictures of several sizes become one batch. first: the default."""
    return {
        "resize": inputs.choice(
            [first, *(way for way in RESIZES if way != first)],
            "How pictures of other sizes are brought to one. none: all must have the size of "
            "the first. crop: cut off what stands out. resize: change the aspect ratio. pad: add black.",
        ),
        "width": inputs.pixels(0, 0, "Of every picture, in pixels; 0 is the first picture's own."),
        "height": inputs.pixels(0, 0, "Of every picture, in pixels; 0 is the first picture's own."),
    }


def cache() -> Path:
    """Where what was taken from folders of pictures is kept for later runs; it may be deleted at any time."""
    return host.output_folder() / CACHE


def root_of(location: str) -> Path:
    """The host's folder behind a choice of LOCATIONS."""
    return host.input_folder() if location == "input" else host.output_folder()


def picture_folder(location: str, name: str) -> Path:
    """The folder of pictures of that name.

    Raises:
        BadInput, MissingFile: as of `folder_inside`.
    """
    return folder_inside(root_of(location), name)


def pictures_at(location: str, path: str, subfolders: bool) -> tuple[dict[str, Path], list[str]]:
    """Pictures by their names: of a folder, sorted by their relative paths, or one file. And lines about what looked
    like a picture and was not taken.

    Raises:
        BadInput: it is empty, or leads out of the location.
        MissingFile: there is nothing, or no picture.
    """
    found = _picture_path(location, path)
    if found.is_file():
        return {found.name: found}, []
    if not found.is_dir():
        raise MissingFile(f"path: there is no {path!r} in {root_of(location)}; put the pictures there.")
    listing = list_pictures(found, subfolders)
    files = {file.relative_to(found).as_posix(): file for file in listing.files}
    return files, left_out_lines(found, subfolders, listing)


def pictures_state(location: str, path: str) -> str:
    """`state_of` what `pictures_at` finds."""
    return state_of(
        lambda: _picture_path(location, path), lambda at: fingerprint(at) if at.is_file() else folder_state(at)
    )


def _picture_path(location: str, path: str) -> Path:
    if not path:
        raise BadInput(
            "path: it is empty; give the name of a picture or of a folder, or a dot for the location itself."
        )
    return path_inside(root_of(location), path, "path")


def picture_state(location: str, name: str) -> str:
    """`state_of` a folder of pictures and of all below it; empty where none is named."""
    return state_of(lambda: picture_folder(location, name), folder_state) if name else ""


def state_of(find: Callable[[], Path], state: Callable[[Path], str] = fingerprint) -> str:
    """For IS_CHANGED: what changes with the file or folder found; empty where there is none, which `run` refuses."""
    try:
        return state(find())
    except (BadInput, OSError):
        return ""
