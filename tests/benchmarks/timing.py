"""Times two ways of doing one thing side by side, and weighs what they hold."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from trilemma.tests.peak_memory import peak_bytes


@dataclass(frozen=True)
class Comparison:
    """CPU seconds of the reference and of ours, each in the turn that was disturbed least."""

    reference: float
    ours: float

    @property
    def ratio(self) -> float:
        return self.reference / self.ours


@dataclass(frozen=True)
class Peaks:
    """Largest number of bytes that the reference and that ours held at one time, beyond their inputs."""

    reference: int
    ours: int

    @property
    def ratio(self) -> float:
        return self.reference / self.ours


def compare_peaks(reference: Callable[[], Any], ours: Callable[[], Any]) -> Peaks:
    """Of tensors."""
    return Peaks(peak_bytes(reference), peak_bytes(ours))


def compare(reference: Callable[[], Any], ours: Callable[[], Any], repeats: int = 5) -> Comparison:
    """Time both calls in turn, `repeats` times; both have run before.

    CPU time leaves out what other processes take, but not that they empty the caches. That only ever adds, by more than
    the 5 % that some promises leave, so the least time is the call's own; turns give both calls the same quiet moments.
    """
    turns = [(seconds(reference), seconds(ours)) for _ in range(repeats)]
    return Comparison(*(min(times) for times in zip(*turns, strict=True)))


def compare_results(
    reference: Callable[[], Any], ours: Callable[[], Any], repeats: int = 5
) -> tuple[Comparison, Any, Any]:
    """The same, with what the last calls returned: for references too slow to run once more."""
    last: dict[str, Any] = {}
    times = compare(lambda: last.update(reference=reference()), lambda: last.update(ours=ours()), repeats)
    return times, last["reference"], last["ours"]


def seconds(call: Callable[[], Any]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    call()
    return time.process_time() - start
