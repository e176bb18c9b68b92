"""The samples of a run as one batch, drawn in smaller ones of a size that fits."""

from __future__ import annotations

import torch

from ..steps import OnStep, quiet
from .base import Generator
from .binding import Bound, sample

BATCH_BYTES = 2**30
MAX_BATCH = 64


def fitting_batch(generator: Generator, count: int, scale: float = 1.0) -> int:
    """The largest power of two, up to MAX_BATCH, whose activations take at most BATCH_BYTES; not above `count`.

    scale: pixels of a picture relative to the descriptor's.
    """
    size = 1
    while size < min(count, MAX_BATCH) and generator.memory_bytes(2 * size) * scale <= BATCH_BYTES:
        size *= 2
    return min(size, count)


class Samples:
    """The first `count` samples of a run, filled in from the first to the last.

    What is in place when a batch runs out of memory stays there, and the next `fill` goes on behind it.
    """

    def __init__(self, bound: Bound, count: int, seed: int, on_step: OnStep = quiet) -> None:
        """on_step: called with the steps done, of `binding.total_steps`, and with a preview of each batch."""
        self._bound = bound
        self._count = count
        self._seed = seed
        self._on_step = on_step
        self._done = 0
        self._images = torch.empty(0)

    def fill(self, batch_size: int) -> torch.Tensor:
        """All of them, float32 [count, H, W, 3], 0..1, CPU; [count, H, W, 4] with alpha.

        Raises:
            BadInput: count or batch size below 1.
        """
        first = self._done
        evaluations = self._bound.generator.evaluations(self._bound.settings)

        def on_step(step: int, preview: torch.Tensor | None = None) -> None:
            self._on_step(first * evaluations + step, preview)

        for batch in sample(self._bound, self._count - first, self._seed, batch_size, on_step, first):
            self._place(batch.images)
            self._on_step(self._done * evaluations, batch.images[-1, ..., :3])
        return self._images

    def _place(self, images: torch.Tensor) -> None:
        if not self._done:
            self._images = torch.empty(self._count, *images.shape[1:])
        self._images[self._done : self._done + len(images)] = images
        self._done += len(images)
