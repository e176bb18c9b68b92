"""The folders that mutated graphs run in: a few small pictures, notes, and tiny models of every family."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from trilemma.host import standalone
from trilemma.models.families import Registry
from trilemma.models.generators.diffusion.classifiers import CLASSIFIERS
from trilemma.models.pictures.png import write_png
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.nodes.common.loading import WEIGHT_FILES, ModelLoader, Source

PLACES = ("input", "output", "temp", "models")
SIDE = 32


def prepare(root: Path, with_models: bool) -> None:
    """Makes the folders that are not there. with_models: a tiny model of each family, which takes minutes."""
    for place in PLACES:
        (root / place).mkdir(parents=True, exist_ok=True)
    if not (root / "input" / "example.png").exists():
        _write_pictures(root / "input")
    if with_models and not (root / "models" / "whole").exists():
        _write_models(root / "models")
        (root / "models" / "whole").touch()


def use(root: Path) -> None:
    """Has graphs without ComfyUI run in these folders."""
    standalone.use_folders(**{place: root / place for place in PLACES})


def _write_pictures(folder: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    (folder / "pictures" / "more").mkdir(parents=True, exist_ok=True)
    for number in range(8):
        side = SIDE if number < 6 else SIDE + number
        where = folder / "pictures" / ("more" if number > 6 else "")
        write_png(where / f"{number}.png", torch.rand(side, SIDE, 3, generator=generator), {})
    write_png(folder / "alpha.png", torch.rand(SIDE, SIDE, 4, generator=generator), {})
    notes = {
        "images": [{"id": 1, "file_name": "0.png", "width": SIDE, "height": SIDE}],
        "categories": [{"id": 1, "name": "dot"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 4, 9, 9], "area": 81, "iscrowd": 0}],
    }
    (folder / "notes.json").write_text(json.dumps(notes))
    record = {"tag": "counting", "include": [{"class": "dot", "count": 2}], "prompt": "two dots"}
    (folder / "records.jsonl").write_text(json.dumps(record))
    write_png(folder / "example.png", torch.rand(SIDE, SIDE, 3, generator=generator), {})


def _write_models(folder: Path) -> None:
    for sources, registry in _loaders():
        for family in registry.families:
            name = re.sub(r"\W+", "_", family.name)
            places = {each.folders: folder / each.key / name for each in reversed(sources)}
            place = places.get(False) or places[True]
            place.mkdir(parents=True, exist_ok=True)
            try:
                path = family.tiny(place)
            except ImportError:  # a library that is no requirement of the pack
                place.rmdir()
                continue
            if path.is_dir() and True in places and places[True] != place:
                places[True].parent.mkdir(parents=True, exist_ok=True)
                place.rename(places[True])


def _loaders() -> Iterator[tuple[tuple[Source, ...], Registry[Any]]]:
    """Every registry once, with the model folders that its loader looks in."""
    loaders = [node for node in NODE_CLASS_MAPPINGS.values() if issubclass(node, ModelLoader)]
    yield from {id(node.REGISTRY): (node.SOURCES, node.REGISTRY) for node in loaders}.values()
    yield (Source("metrics", WEIGHT_FILES),), CLASSIFIERS
