"""A leaderboard on disk: Markdown, CSV, JSON and both pictures, under one number."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ...files.atomic import locked, make_folder, sweep_parts, write_together
from ...files.numbering import first_number
from ...files.paths import prefix_inside
from ...pictures.png import as_png


class Report(NamedTuple):
    """markdown, csv, json: texts. table: IMAGE [1, H, W, 3]. trilemma: IMAGE [groups, H, W, 3]; 0..1 both."""

    markdown: str
    csv: str
    json: str
    table: torch.Tensor
    trilemma: torch.Tensor


def save(report: Report, folder: Path, prefix: str, chunks: Mapping[str, Any]) -> list[str]:
    """Write `prefix_00001_.md`, .csv, .json, `prefix_00001_table.png` and a `prefix_00001_trilemma.png` (with `_2` and
    so on for further groups), after the highest number that is there. They are there whole and together, or not at all.

    chunks: texts of the PNGs, as JSON. Returns the names relative to `folder`, with forward slashes.

    Raises:
        BadInput: the prefix leads out of the folder, or names a folder.
    """
    target = prefix_inside(folder, prefix, "scores/leaderboard")
    make_folder(target.parent)
    sweep_parts(target.parent)
    with locked(target):
        stem = f"{target.name}_{first_number(target):05}_"
        texts = {".md": report.markdown, ".csv": report.csv, ".json": report.json}
        pictures = {"table.png": report.table[0]}
        for place, picture in enumerate(report.trilemma, 1):
            pictures["trilemma.png" if place == 1 else f"trilemma_{place}.png"] = picture
        files = {stem + ending: text.encode() for ending, text in texts.items()}
        files |= {stem + ending: as_png(picture, chunks) for ending, picture in pictures.items()}
        write_together(target.parent, files)
    return [(target.parent / name).relative_to(folder).as_posix() for name in files]
