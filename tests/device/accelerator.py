"""The accelerator under test: what it is, how much memory a call takes on it, and how long."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch


def _device() -> torch.device | None:
    wanted = os.environ.get("TRILEMMA_TEST_DEVICE")
    if wanted:
        return torch.device(wanted)
    return torch.device("cuda") if torch.cuda.is_available() else None


DEVICE = _device()
REAL = DEVICE is not None and DEVICE.type == "cuda"
needs_memory = pytest.mark.skipif(not REAL, reason="only a real accelerator has memory of its own")


def name() -> str:
    """Of the card, with what drives it."""
    card = torch.cuda.get_device_name() if REAL else f"{DEVICE} in an accelerator's place"
    return f"{card}, torch {torch.__version__}"


def peak(call: Callable[[], Any]) -> int:
    """Bytes of the accelerator's that a call takes beside what is there before it, at its height."""
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    result = call()
    torch.cuda.synchronize()
    del result
    return torch.cuda.max_memory_allocated() - before


def in_turn(ours: Callable[[], Any], theirs: Callable[[], Any], turns: int = 5 if REAL else 1) -> tuple[float, float]:
    """Median times of two calls that take turns, after one of each that does not count."""
    times = [(_seconds(ours), _seconds(theirs)) for _ in range(turns + 1)]
    first, second = zip(*times[1:], strict=True)
    return statistics.median(first), statistics.median(second)


def _seconds(call: Callable[[], Any]) -> float:
    _wait()
    start = time.perf_counter()
    call()
    _wait()
    return time.perf_counter() - start


def _wait() -> None:
    if REAL:
        torch.cuda.synchronize()
