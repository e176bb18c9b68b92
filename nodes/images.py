"""Nodes of the menu Trilemma/Images."""

from __future__ import annotations

from typing import Any

import torch

from .. import host
from ..models.errors import BadInput
from ..models.pictures import grids, image_batches
from ..models.pictures.image_files import READER
from ..models.pictures.resizing import FITS, Fit
from .common import folders, inputs, menus
from .common.showing import show_text


class LoadImages:
    DISPLAY_NAME = "Load Images"
    CATEGORY = menus.IMAGES
    DESCRIPTION = (
        "Reads a picture, or all of a folder, sorted by name, as one batch, with the pixels that Folder Features sees. "
        "ComfyUI's own Load Image reads other pixels from JPEG and many other files."
    )
    SEARCH_ALIASES = ["load image", "load images from folder", "image folder", "batch images", "image directory"]
    RETURN_TYPES = ("IMAGE", "MASK", "INT", "STRING", "STRING")
    RETURN_NAMES = ("images", "masks", "num_images", "names", "report")
    OUTPUT_TOOLTIPS = (
        "The pictures, 0 to 1, turned as their EXIF says, without alpha.",
        "1 where a picture is transparent, of its size; 0 everywhere where it has no alpha.",
        "How many there are.",
        "Their paths relative to the folder, one to a line.",
        "What was read, and what looked like a picture and was not taken.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "location": folders.location("path"),
                "path": inputs.text(
                    "", "A picture, or a folder of them, relative to the location; a dot is the location itself."
                ),
            },
            "optional": {
                **folders.one_size(),
                "first": inputs.integer(0, 0, 2**31 - 1, "Where in the sorted folder to begin, counted from 0."),
                "count": inputs.integer(0, 0, 2**31 - 1, "How many pictures at most; 0 takes all."),
                "subfolders": folders.subfolders(),
                "skip_corrupt": inputs.boolean(
                    False, "Leave out files that cannot be read, and name them in the report, instead of stopping."
                ),
            },
        }

    @classmethod
    def IS_CHANGED(cls, location: str, path: str, **settings: Any) -> str:
        return folders.pictures_state(location, path)

    def run(
        self,
        location: str,
        path: str,
        resize: image_batches.Resize = "none",
        width: int = 0,
        height: int = 0,
        first: int = 0,
        count: int = 0,
        subfolders: bool = False,
        skip_corrupt: bool = False,
    ) -> dict[str, Any]:
        files, left_out = folders.pictures_at(location, path, subfolders)
        chosen = dict(list(files.items())[first : first + count if count else None])
        if not chosen:
            raise BadInput(f"first: {first}, but {path!r} holds {len(files)} pictures; begin at a lower number.")
        with host.progress(len(chosen)) as on_step:
            loaded = image_batches.load_batch(chosen, resize, height, width, skip_corrupt, on_step)
        size = f"{loaded.images.shape[2]} x {loaded.images.shape[1]}"
        missing = [f"left out, not readable: {name}: {why}" for name, why in loaded.unreadable.items()]
        report = "\n".join([f"{len(loaded.names)} pictures of {size} pixels, read by {READER}", *missing, *left_out])
        images, masks = host.intermediate(loaded.images), host.intermediate(loaded.masks)
        return show_text(report, images, masks, len(loaded.names), "\n".join(loaded.names), report)


class ImageGrid:
    DISPLAY_NAME = "Image Grid"
    CATEGORY = menus.IMAGES
    DESCRIPTION = (
        "Lays batches of images out as one picture: a labelled row for each connected input, or a single batch "
        "wrapped into rows. Small images are enlarged pixel by pixel."
    )
    SEARCH_ALIASES = ["contact sheet", "xy plot", "image table", "tile images", "compare images", "montage", "collage"]
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("image",)
    OUTPUT_TOOLTIPS = ("The grid, a batch of one image.",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "labels": inputs.multiline("", "Labels of the connected rows from the top, one to a line."),
                "column_labels": inputs.multiline("", "Labels of the columns from the left, one to a line."),
                "columns": inputs.integer(
                    0,
                    0,
                    256,
                    "Images side by side; a longer batch goes on in further rows. 0: as many as the "
                    "longest batch, or a square where one batch is connected.",
                ),
                "cell_size": inputs.integer(
                    0,
                    0,
                    4096,
                    "Longer side of a cell, in pixels. 0: the largest image's, several times that for images below 65.",
                ),
                "fit": inputs.choice(
                    ["pad", *(how for how in FITS if how != "pad")],
                    "What happens to images of another size than the cells. pad: centred on the "
                    "background. crop: cut off what stands out. resize: change the aspect ratio.",
                ),
                "gap": inputs.integer(4, 0, 256, "Between cells, in pixels."),
                "theme": inputs.theme(),
            },
            "optional": inputs.numbered(
                "images", "IMAGE", "One row: a batch of any length and size; alpha is ignored."
            ),
        }

    def run(
        self,
        labels: str,
        column_labels: str,
        columns: int,
        cell_size: int,
        fit: Fit,
        gap: int,
        theme: grids.Theme,
        **images: torch.Tensor,
    ) -> tuple[torch.Tensor]:
        batches = inputs.connected("images", images)
        names = labels.rstrip().split("\n")
        if len(names) > max(1, len(batches)):
            raise BadInput(f"labels: {len(names)} lines for {len(batches)} connected rows; take the last ones away.")
        names += [""] * (len(batches) - len(names))
        rows = [grids.Row(name.strip(), batch) for name, batch in zip(names, batches, strict=False)]
        tops = [label.strip() for label in column_labels.rstrip().split("\n")] if column_labels.strip() else []
        return (host.intermediate(grids.grid(rows, tops, columns, cell_size, fit, gap, theme)),)


NODES = {"TrilemmaImageGrid": ImageGrid, "TrilemmaLoadImages": LoadImages}
