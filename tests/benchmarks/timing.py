"""Times two ways of doing one thing side by side."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Comparison:
    """Median CPU seconds of the reference and of ours, and the median of the ratios reference / ours."""

    reference: float
    ours: float
    ratio: float


def compare(reference: Callable[[], Any], ours: Callable[[], Any], repeats: int = 5) -> Comparison:
    """Time both calls in turn, `repeats` times; both have run before.

    CPU time leaves out what other processes take; turns let them disturb both alike, and the ratio is one turn's.
    """
    turns = [(_seconds(reference), _seconds(ours)) for _ in range(repeats)]
    return Comparison(
        reference=statistics.median(slow for slow, _ in turns),
        ours=statistics.median(fast for _, fast in turns),
        ratio=statistics.median(slow / fast for slow, fast in turns),
    )


def compare_results(
    reference: Callable[[], Any], ours: Callable[[], Any], repeats: int = 5
) -> tuple[Comparison, Any, Any]:
    """The same, with what the last calls returned: for references too slow to run once more."""
    last: dict[str, Any] = {}
    times = compare(lambda: last.update(reference=reference()), lambda: last.update(ours=ours()), repeats)
    return times, last["reference"], last["ours"]


def _seconds(call: Callable[[], Any]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start
