"""What a generator costs: its weights, its time for an image, and the memory at the height of a run."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any, Final, TypeVar

import torch

from ...generators.binding import Bound

T = TypeVar("T")
TIMED: Final = 1024
"""Batches over whose times the median is taken, the last ones."""
INTERVAL: Final = 0.02
"""Seconds between two looks at the memory of the process."""


class Timings:
    """Seconds per image of the batches of a run. The first call, which also warms up, stands apart."""

    def __init__(self) -> None:
        self._first: float | None = None
        self._others: deque[float] = deque(maxlen=TIMED)
        self._warm = False

    def timed(self, draw: Callable[[], T], images_of: Callable[[T], int]) -> T:
        """What `draw` gives, its time noted; images_of: how many images that is, 0 for what is not to be counted."""
        began = time.perf_counter()
        drawn = draw()
        seconds, count = time.perf_counter() - began, images_of(drawn)
        if count and not self._warm:
            self._warm = True
            self._first = seconds / count
        elif count:
            self._others.append(seconds / count)
        return drawn

    def cost(self) -> dict[str, float]:
        """seconds_per_image: the median over all calls but the first of each run, or of that, where it was the only
        one. first_call_seconds_per_image: of the first call of the last run."""
        if self._first is None:
            return {}
        return {
            "seconds_per_image": median(self._others or [self._first]),
            "first_call_seconds_per_image": self._first,
        }

    @property
    def batches(self) -> int:
        """How many the median is over."""
        return len(self._others)

    def state(self) -> dict[str, Any]:
        """For `resume`, in values that JSON knows."""
        return {"first": self._first, "others": list(self._others)}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on where another run stopped; this one's first call stands apart too."""
        self._first = state["first"]
        self._others.extend(state["others"])


def merge(states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The timings of parts of a run, in its order, as if each had gone on where the one before stopped.

    The first call of each stands apart; the last part's is told.
    """
    whole = Timings()
    for state in states:
        whole.resume(state)
    return whole.state()


class PeakMemory:
    """Within its block, the largest number of bytes taken: of tensors on CUDA, else of the process."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._ended = threading.Event()
        self._largest = 0
        self._watch = threading.Thread(target=self._look, name="memory", daemon=True)

    def __enter__(self) -> PeakMemory:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        else:
            self._watch.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._device.type != "cuda":
            self._ended.set()
            self._watch.join()

    @property
    def bytes(self) -> int:
        """The largest so far."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return max(self._largest, _resident())

    def _look(self) -> None:
        while not self._ended.wait(INTERVAL):
            self._largest = max(self._largest, _resident())


def _resident() -> int:
    import psutil

    return psutil.Process().memory_info().rss


def weight_bytes(modules: Iterable[torch.nn.Module]) -> int:
    """Bytes of parameters and buffers, each counted once."""
    tensors = {
        tensor.data_ptr(): tensor.nbytes
        for module in modules
        for tensor in (*module.parameters(), *module.buffers())
        if tensor.nbytes
    }
    return sum(tensors.values())


def size_of(bound: Bound) -> dict[str, float]:
    """parameters, evaluations per image, and weight_bytes where the weights are the pack's to see."""
    generator = bound.generator
    weights = {"weight_bytes": float(weight_bytes(generator.modules))} if generator.modules else {}
    return {
        "parameters": float(generator.descriptor.parameters),
        **weights,
        "evaluations": float(generator.evaluations(bound.settings)),
    }
