"""Images to PNG files whose text chunks tell how each was drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ..files.atomic import Taken, make_folder, sweep_parts
from ..files.numbering import first_number
from ..files.paths import file_inside
from ..pictures.png import write_png
from ..steps import OnStep, quiet
from .records import Record

CHUNK = "trilemma"
"""The text chunk with an image's record."""


class Saved(NamedTuple):
    """A written file: its name, and its folder relative to the one asked for ("" for that itself)."""

    name: str
    subfolder: str


def save(
    images: torch.Tensor,
    records: Sequence[Record],
    folder: Path,
    prefix: str,
    texts: Mapping[str, Any],
    on_step: OnStep = quiet,
    overwrite: bool = False,
) -> list[Saved]:
    """Write [N, H, W, 3 or 4], 0..1, as `prefix_00001_.png` and so on, after the highest number that is there.

    The numbers follow the rules of the host's Save Image. records: one per image, for the chunk `trilemma`. texts:
    further chunks, the same in every file; all values are written as JSON. Every file appears whole or not at all.
    overwrite: begin at 1, and take away the files of higher numbers that earlier runs wrote.

    Raises:
        BadInput: the prefix leads out of the folder, or names the folder itself.
    """
    target = file_inside(folder, prefix, "filename_prefix", "run/sample")
    make_folder(target.parent)
    sweep_parts(target.parent)
    subfolder = target.parent.relative_to(folder).as_posix()
    written, number = [], 1 if overwrite else first_number(target)
    for image, record in zip(images, records, strict=True):
        while True:
            name = f"{target.name}_{number:05}_.png"
            number += 1
            try:
                write_png(target.parent / name, image, {CHUNK: record, **texts}, new=not overwrite)
                break
            except Taken:  # by another prompt, which found the same number free
                continue
        written.append(Saved(name, "" if subfolder == "." else subfolder))
        on_step(len(written), None)
    if overwrite:
        for number in range(len(written) + 1, first_number(target)):
            (target.parent / f"{target.name}_{number:05}_.png").unlink(missing_ok=True)
    return written
