"""What every long run shares: the callback of its steps, and how it takes less at once when memory runs out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol, TypeVar

import torch
from torch import nn

T = TypeVar("T")

HEARD_EVERY: Final = 0.25
"""Seconds after which a step asks again whether it is to stop."""


class OnStep(Protocol):
    """Called after each step of a long run; raising in it stops the run there.

    done: steps done so far, of a total that the run's function tells. preview: a picture [H, W, 3], 0..1, of what is
    being made, now and then.
    """

    def __call__(self, done: int, preview: torch.Tensor | None = None, /) -> None: ...


class Halving(Protocol):
    """Calls `run` with a batch size, and after each out-of-memory error again with half of it, down to one."""

    def __call__(self, run: Callable[[int], T], batch_size: int, /) -> T: ...


def quiet(done: int, preview: torch.Tensor | None = None) -> None:
    """An `OnStep` for callers that show no progress."""


def as_given(run: Callable[[int], T], batch_size: int) -> T:
    """A `Halving` for callers with enough memory: once, with the batch size given."""
    return run(batch_size)


def after(on_step: OnStep, before: int) -> OnStep:
    """For a part of a long run, where `before` steps are done already."""

    def told(done: int, preview: torch.Tensor | None = None) -> None:
        on_step(before + done, preview)

    return told


@contextmanager
def within(networks: Sequence[nn.Module], tick: Callable[[], None]) -> Iterator[None]:
    """Calls `tick` in the block before parts of these networks, every HEARD_EVERY seconds: raising there stops a run
    within a step. Parts are what their lists and dicts of modules hold."""
    heard = time.monotonic()

    def listen(*_: Any) -> None:
        nonlocal heard
        if time.monotonic() - heard >= HEARD_EVERY:
            tick()
            heard = time.monotonic()

    kinds = (nn.ModuleList, nn.ModuleDict)
    groups = (each for network in networks for each in network.modules() if isinstance(each, kinds))
    parts = (part for each in groups for part in each.children() if not isinstance(part, kinds))
    hooks = [part.register_forward_pre_hook(listen) for part in parts]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
