"""An interrupt at a chosen moment of a graph: the look of ComfyUI's flag at which it is found."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from trilemma.host import graph as runner
from trilemma.host import standalone
from trilemma.tests.graphs.node_graphs import CLASSES, Graph


class Flag(threading.Event):
    """The flag that every step and every node looks at. It is found set at the look of number `at`, from 0.

    looks: so far. after: those that came when the interrupt had been found already.
    """

    def __init__(self, at: int = -1) -> None:
        super().__init__()
        self.at, self.looks, self.after = at, 0, 0
        self._counting = threading.Lock()

    def is_set(self) -> bool:
        with self._counting:
            self.looks += 1
            self.after += self.at >= 0 and self.looks > self.at + 1
            return self.looks == self.at + 1


@contextlib.contextmanager
def flag(at: int = -1) -> Iterator[Flag]:
    """Has the block's graphs look at it."""
    before, made = standalone._interrupt, Flag(at)
    standalone._interrupt = made
    try:
        yield made
    finally:
        standalone._interrupt = before


@contextlib.contextmanager
def places(**given: Path) -> Iterator[None]:
    """The host's folders, for the block."""
    before = dict(standalone._places)
    standalone.use_folders(**given)
    try:
        yield
    finally:
        standalone._places.update(before)


def run(graph: Graph, output: Path) -> dict[str, np.ndarray]:
    """The pictures that a graph leaves, by their names."""
    with places(output=output, temp=output / "temp"):
        runner.run(graph, CLASSES)
    files = sorted(output.rglob("*.png"))
    return {file.relative_to(output).as_posix(): _pixels(file) for file in files if not _hidden(file)}


def _pixels(file: Path) -> np.ndarray:
    with Image.open(file) as picture:
        return np.asarray(picture)


def _hidden(file: Path) -> bool:
    return any(part.startswith(".") for part in file.parts)


def held() -> int:
    """Bytes of all tensors that are alive, each storage once."""
    gc.collect()
    storages: dict[int, int] = {}
    for each in gc.get_objects():
        # Not isinstance: proxies of libraries answer it by importing.
        if issubclass(type(each), torch.Tensor) and not each.is_meta:
            storage = each.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def alike(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    """The same pictures, but for values that a network put at the border of two."""
    return found.keys() == expected.keys() and all(
        found[name].shape == expected[name].shape
        and int(np.abs(found[name].astype(int) - expected[name].astype(int)).max(initial=0)) <= 1
        for name in found
    )
