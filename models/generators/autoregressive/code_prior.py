"""What a distribution over the codes of a picture must answer, whatever its network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import nn


class CodePrior(nn.Module, ABC):
    """Predicts the codes of a picture one after the other, row by row, given its class.

    code: an embedding with one row for each code. num_classes: 0 where it takes none; labels then are 0. Where it draws
    by something else than classes, that stands in the place of labels: see `CodeGenerator.given`.
    """

    grid: tuple[int, int]
    """Rows and columns of a picture's codes."""
    code: nn.Embedding
    num_classes: int

    @property
    def places(self) -> int:
        """Codes of a picture."""
        return self.grid[0] * self.grid[1]

    @abstractmethod
    def forward(self, codes: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Logits of each code given those before it: int64 [N, h, w], int64 [N] -> [N, places, codes]."""

    @abstractmethod
    def begin(self, labels: torch.Tensor) -> Any:
        """What `next_logits` remembers from place to place of a batch with these labels, int64 [N]."""

    @abstractmethod
    def next_logits(self, state: Any, codes: torch.Tensor, place: int) -> torch.Tensor:
        """Logits [N, codes] of the code at a place, as `forward` gives them, given codes[:, :place].

        codes: int64 [N, places]; what it holds from `place` on does not matter. Places must be asked for in order.
        """

    @abstractmethod
    def floats(self) -> float:
        """Numbers per sample that are alive at the peak of drawing."""
