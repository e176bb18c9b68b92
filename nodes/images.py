"""Nodes of the menu Trilemma/Images."""

from __future__ import annotations

from typing import Any

import torch

from .. import host
from ..models.errors import BadInput
from ..models.pictures import grids
from ..models.pictures.resizing import FITS, Fit
from .common import inputs, menus


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


NODES = {"TrilemmaImageGrid": ImageGrid}
