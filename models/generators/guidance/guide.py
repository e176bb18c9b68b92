"""What guided pictures shall lose: the critic's score with its sign turned, and noise between neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import torch

from ..base import SampleRequest
from .critic import Critic

APART: Final = 0x9E3779B97F4A7C15
"""Turns a sample's seed into that of what its critic draws, so that the sample's own numbers stay as they are."""

Losses = Callable[[torch.Tensor], torch.Tensor]
"""Of pictures [N, C, H, W], about 0..1, [N], with derivatives by them."""


class Guide(NamedTuple):
    """strength: how much the critic's score counts. total_variation: the same of the mean squared difference between
    neighbouring pixels (0..1). requests, streams: whose pictures they are, and what the critic draws from."""

    critic: Critic
    strength: float
    total_variation: float
    requests: Sequence[SampleRequest]
    streams: Sequence[torch.Generator]

    def losses(self, pictures: torch.Tensor) -> torch.Tensor:
        """See `Losses`."""
        seen = clamped(coloured(pictures))
        lost = -self.strength * self.critic.scores(seen, self.requests, self.streams)
        return lost + self.total_variation * variation(seen) if self.total_variation else lost


def streams_of(requests: Sequence[SampleRequest]) -> list[torch.Generator]:
    """A generator for what is drawn beside each sample's own numbers."""
    return [torch.Generator().manual_seed(request.seed ^ APART) for request in requests]


def variation(pictures: torch.Tensor) -> torch.Tensor:
    """Mean squared difference between neighbouring pixels of pictures [N, C, H, W], [N]."""
    down, right = pictures.diff(dim=2), pictures.diff(dim=3)
    return down.square().mean(dim=(1, 2, 3)) + right.square().mean(dim=(1, 2, 3))


def coloured(pictures: torch.Tensor) -> torch.Tensor:
    """[N, C, H, W] with three channels: grey in equal planes, without alpha."""
    return pictures.expand(-1, max(3, pictures.shape[1]), -1, -1)[:, :3]


def clamped(pictures: torch.Tensor) -> torch.Tensor:
    """The pictures within 0..1. Of a loss, derivatives stay where a step against them leads back or along, which
    those of `clamp` do not, so that no pixel gets stuck outside."""
    return _Clamped.apply(pictures)  # type: ignore[no-any-return]


class _Clamped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pictures: torch.Tensor) -> torch.Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        kept = pictures.clamp(0, 1)
        ctx.save_for_backward(pictures - kept)
        return kept

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, derivative: torch.Tensor
    ) -> torch.Tensor:
        (beyond,) = ctx.saved_tensors
        return derivative * (beyond * derivative >= 0)
