"""A leaderboard on disk: Markdown, CSV, JSON and both pictures, under one number."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ...errors import BadInput
from ...files.atomic import locked, replacing
from ...files.paths import path_inside
from ...generators.saving import first_number


class Report(NamedTuple):
    """markdown, csv, json: texts. table: IMAGE [1, H, W, 3]. trilemma: IMAGE [groups, H, W, 3]; 0..1 both."""

    markdown: str
    csv: str
    json: str
    table: torch.Tensor
    trilemma: torch.Tensor


def save(report: Report, folder: Path, prefix: str, chunks: Mapping[str, Any]) -> list[str]:
    """Write `prefix_00001_.md`, .csv, .json, `prefix_00001_table.png` and a `prefix_00001_trilemma.png` (with `_2` and
    so on for further groups), after the highest number that is there. Each file appears whole or not at all.

    chunks: texts of the PNGs, as JSON. Returns the names relative to `folder`, with forward slashes.

    Raises:
        BadInput: the prefix leads out of the folder, or names a folder.
    """
    target = path_inside(folder, prefix, "filename_prefix")
    if prefix.endswith(("/", "\\")) or target == folder:
        raise BadInput(f"filename_prefix: {prefix!r} is no name of a file; write, for example, scores/leaderboard.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target):
        stem = f"{target.name}_{first_number(target):05}_"
        files = {
            ".md": report.markdown.encode(),
            ".csv": report.csv.encode(),
            ".json": report.json.encode(),
            "table.png": _png(report.table[0], chunks),
        }
        for place, picture in enumerate(report.trilemma, 1):
            files["trilemma.png" if place == 1 else f"trilemma_{place}.png"] = _png(picture, chunks)
        paths = [target.with_name(stem + ending) for ending in files]
        for path, content in zip(paths, files.values(), strict=True):
            with replacing(path) as file:
                file.write(content)
    return [path.relative_to(folder).as_posix() for path in paths]


def _png(picture: torch.Tensor, chunks: Mapping[str, Any]) -> bytes:
    info = PngInfo()
    for key, value in chunks.items():
        info.add_text(key, json.dumps(value))
    file = io.BytesIO()
    pixels = picture.mul(255).round().to("cpu", torch.uint8).numpy()
    Image.fromarray(pixels).save(file, format="PNG", pnginfo=info)
    return file.getvalue()
