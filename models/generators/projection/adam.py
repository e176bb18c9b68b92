"""Adam (Kingma and Ba 2015), as torch.optim has it, which imports PyTorch's compiler for it: seconds for each start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch

BETAS: Final = (0.9, 0.999)
EPSILON: Final = 1e-8


class Adam:
    """Moves tensors against their derivatives; each number for itself, whatever else is moved."""

    def __init__(self, moved: Sequence[torch.Tensor]) -> None:
        self._moved = moved
        self._first = [torch.zeros_like(each) for each in moved]
        self._second = [torch.zeros_like(each) for each in moved]
        self._steps = 0

    @torch.no_grad()
    def step(self, derivatives: Sequence[torch.Tensor], rate: float) -> None:
        self._steps += 1
        unbiased, unbiased_square = (1 - beta**self._steps for beta in BETAS)
        for each, derivative, first, second in zip(self._moved, derivatives, self._first, self._second, strict=True):
            first.lerp_(derivative, 1 - BETAS[0])
            second.mul_(BETAS[1]).addcmul_(derivative, derivative, value=1 - BETAS[1])
            each.addcdiv_(first, (second / unbiased_square).sqrt_().add_(EPSILON), value=-rate / unbiased)
