"""Faults at a chosen moment of a graph, and what a run gave, so that the next one can be held to it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from trilemma.host import graph as runner
from trilemma.tests.closeness import is_close
from trilemma.tests.faults.killing import TIMINGS
from trilemma.tests.graphs.node_graphs import CLASSES, Graph

ALLOCATOR = "[enforce fail at alloc_cpu.cpp:119] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to"
WINDOWS = "[enforce fail at alloc_cpu.cpp:114] data. DefaultCPUAllocator: not enough memory: you tried to allocate"
SHORTAGES: dict[str, Callable[[], Exception]] = {
    "device": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 0 bytes free."),
    "linux": lambda: RuntimeError(f"{ALLOCATOR} allocate 68719476736 bytes. Error code 12 (Cannot allocate memory)"),
    "windows": lambda: RuntimeError(f"{WINDOWS} 68719476736 bytes."),
    "python": MemoryError,
}
"""How memory runs out, in the words of who says it."""


class Moment(TorchDispatchMode):
    """Counts torch's operations that ask for memory, and calls `happens` at the one with the number `at`, once.

    What only looks at memory in another way, as a tensor of a mapped file does, asks for none.
    """

    def __init__(self, at: int = -1, happens: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.at, self.happens, self.done = at, happens, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        known = set(_places(args)) | set(_places(kwargs or {}))
        if any(place not in known for place in _places(result)):
            self.done += 1
            if self.done - 1 == self.at:
                self.happens()
        return result


def _places(values: Any) -> Iterator[int]:
    """Where the memory of all tensors among the values lies."""
    for each in tree_leaves(values):
        storage = each.untyped_storage() if isinstance(each, torch.Tensor) and not each.is_meta else each
        if isinstance(storage, torch.UntypedStorage) and storage.nbytes():
            yield storage.data_ptr()


def raising(error: Callable[[], Exception]) -> Callable[[], None]:
    """For `Moment`."""

    def happens() -> None:
        raise error()

    return happens


def run(graph: Graph, node: str) -> list[Any]:
    """What the nodes of this class gave, as tensors and plain values."""
    given: list[Any] = []
    runner.run(graph, {**CLASSES, node: _recorded(CLASSES[node], given)})
    return [each for values in given for each in _plain(values)]


def _recorded(node: type, given: list[Any]) -> type:
    function = getattr(node, node.FUNCTION)

    @functools.wraps(function)
    def recorded(self: Any, *arguments: Any, **named: Any) -> Any:
        result = function(self, *arguments, **named)
        given.append(result.get("result") if isinstance(result, Mapping) else result)
        return result

    return type(node.__name__, (node,), {node.FUNCTION: recorded})


def _plain(value: Any) -> Iterator[Any]:
    """Tensors, arrays and numbers in a value; texts tell of times and places, and models are held to nothing."""
    if isinstance(value, (torch.Tensor, np.ndarray, bool, int, float)):
        yield value
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _plain(each)
    elif isinstance(value, Mapping):
        for name, each in value.items():
            if name not in TIMINGS:
                yield from _plain(each)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _plain(getattr(value, field.name))


def alike(found: list[Any], expected: list[Any]) -> bool:
    """Whether two runs gave the same, but for the order in which a batch is added up."""
    return len(found) == len(expected) and all(map(_alike, found, expected))


def _alike(found: Any, expected: Any) -> bool:
    one, other = (np.asarray(each, dtype=np.float64) for each in (found, expected))
    if one.shape != other.shape or not np.array_equal(np.isnan(one), np.isnan(other)):
        return False
    # A score that too few images have is no number in both.
    return is_close(np.nan_to_num(one), np.nan_to_num(other), 1e-4)
