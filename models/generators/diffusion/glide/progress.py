"""What a run of two stages tells of its steps."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ....steps import OnStep


class Progress:
    """Counts network calls of one stage after the other, and asks within each of them whether to stop.

    show: a picture [H, W, 3] of what is foreseen, [1, 3, h, w]. rows: how often the network sees each sample in a call.
    """

    def __init__(self, on_step: OnStep, show: Callable[[torch.Tensor], torch.Tensor], rows: int = 1) -> None:
        self._on_step, self._show = on_step, show
        self.rows = rows
        self._before = self._done = 0

    def report(self, calls: int, foreseen: torch.Tensor | None) -> None:
        """See `sampling.Report`."""
        self._done = self._before + self.rows * calls
        self._on_step(self._done, None if foreseen is None else self._show(foreseen).cpu())

    def tick(self) -> None:
        """Raises what `on_step` raises, see `steps.within`."""
        self._on_step(self._done)

    def next_stage(self) -> None:
        """Goes on behind what is done, with a network that sees each sample once."""
        self._before, self.rows = self._done, 1
