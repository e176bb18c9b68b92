"""An interrupt at a chosen moment of a graph: the look at the host's flag at which it is found set."""

from __future__ import annotations

import contextlib
import gc
import math
import os
import re
import signal
import threading
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from trilemma.host import graph as runner
from trilemma.host import standalone
from trilemma.tests.graphs.node_graphs import CLASSES, Graph

TIMED = re.compile(r"table|trilemma_?\d*\.png|plot|board")
"""Pictures that tell how long something took, which is never the same."""


TIMING = ("TrilemmaLeaderboard", "TrilemmaLiteratureTable", "TrilemmaSweep")


class Flag(threading.Event):
    """The flag that every step and every node looks at, which counts the looks.

    In the process that made it, it is never found set. At each look of a number in `moments` the process is copied, and
    the copy finds it set there, once: so many interrupts cost one run, and what each leads to. `verdicts`: how the
    copies ended, by their moments; empty for one that ended well.
    """

    def __init__(self, moments: Collection[int] = (), seconds: float = 0.0) -> None:
        """seconds: after which a copy is taken for one that hangs."""
        super().__init__()
        self.looks, self.after, self.verdicts = 0, 0, dict[int, str]()
        self._moments, self._seconds = set(moments), seconds
        self._found = False
        self._counting = threading.Lock()
        self.answer, self.moment = -1, -1

    def is_set(self) -> bool:
        with self._counting:
            self.looks += 1
            self.after += self._found
            # A copy has the thread that makes it alone; an interrupt is heard at the main one's next look, too.
            due = [moment for moment in self._moments if moment < self.looks]
            if not due or threading.current_thread() is not threading.main_thread():
                return False
            self._moments.difference_update(due)
            for moment in due:
                if self._copied(moment):
                    self._moments, self._found = set(), True
                    return True
            return False

    def _copied(self, moment: int) -> bool:
        """Makes a copy and waits for it; true in the copy."""
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            self.answer, self.moment = writing, moment
            # Not as the test's own time limit, which would go on with the tests here.
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(math.ceil(self._seconds))
            return True
        os.close(writing)
        with open(reading, "rb") as file:
            told = file.read().decode()
        status = os.waitpid(child, 0)[1]
        self.verdicts[moment] = told if os.WIFEXITED(status) else f"{told}; ended by signal {os.WTERMSIG(status)}"
        return False

    def end(self, verdict: str) -> None:
        """In a copy: how it ended, empty if well; the process is over."""
        os.write(self.answer, verdict.encode())
        os._exit(0)


@contextlib.contextmanager
def flag(made: Flag) -> Iterator[Flag]:
    """Has the block's graphs look at it."""
    before = standalone._interrupt
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
    files = {file.relative_to(output).as_posix(): file for file in sorted(output.rglob("*.png")) if not _hidden(file)}
    timed = [f"temp/preview_{node_id}_" for node_id, node in graph.items() if _shows_times(graph, node)]
    return {name: _pixels(file) for name, file in files.items() if not name.startswith(tuple(timed))}


def _shows_times(graph: Graph, node: dict[str, Any]) -> bool:
    """Whether a node shows a picture of one that tells how long something took, which is never the same."""
    link = node["inputs"].get("images")
    return isinstance(link, list) and graph[link[0]]["class_type"] in TIMING


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


def difference(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> str:
    """Which pictures differ, and how; empty where none does, but for values that a network put at the border of two."""
    if found.keys() != expected.keys():
        return f"{sorted(found.keys() ^ expected.keys())} are there once"
    told = []
    for name, picture in expected.items():
        if TIMED.search(name):
            continue
        if found[name].shape != picture.shape:
            told.append(f"{name} is of shape {found[name].shape}, not {picture.shape}")
            continue
        off = np.abs(found[name].astype(int) - picture.astype(int))
        if off.max(initial=0) > 1:
            told.append(f"{name} is off by {off.max()} in {(off > 1).mean():.2%}")
    return "; ".join(told)
