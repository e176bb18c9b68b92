"""The contract of critics: how well pictures show what is asked for, as a number with derivatives by their pixels."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..base import SampleRequest


class Critic(ABC):
    """Scores pictures, each for itself, the higher the better.

    name: what it judges by, in a word. identity: of its networks and of what it asks for. modules: what the host
    places. files: what these were read from. notes: what it asks for, as sentences.
    """

    name: str
    identity: str
    modules: tuple[nn.Module, ...] = ()
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    @abstractmethod
    def scores(
        self, pictures: torch.Tensor, requests: Sequence[SampleRequest], streams: Sequence[torch.Generator]
    ) -> torch.Tensor:
        """[N], of pictures [N, 3, H, W], 0..1, on the device of `modules`, with their derivatives.

        requests: whose pictures they are; where several things are asked for, they take them in turn. streams: of each
        picture, on the CPU, for what the critic draws.
        """

    @abstractmethod
    def memory_bytes(self, height: int, width: int) -> int:
        """Estimate of what the score of one picture and its derivative take."""


class Sum(Critic):
    """A weighted sum of critics."""

    def __init__(self, critics: Sequence[Critic], weights: Sequence[float]) -> None:
        self._terms = tuple(zip(critics, weights, strict=True))
        self.name = " and ".join(dict.fromkeys(critic.name for critic in critics))
        self.identity = digest([[critic.identity, weight] for critic, weight in self._terms])
        self.modules = tuple(module for critic in critics for module in critic.modules)
        self.files = tuple(file for critic in critics for file in critic.files)
        self.notes = tuple(
            note if weight == 1 else f"{weight:g} x: {note}" for critic, weight in self._terms for note in critic.notes
        )

    def scores(
        self, pictures: torch.Tensor, requests: Sequence[SampleRequest], streams: Sequence[torch.Generator]
    ) -> torch.Tensor:
        total = pictures.new_zeros(len(pictures))
        for critic, weight in self._terms:
            total = total + weight * critic.scores(pictures, requests, streams)
        return total

    def memory_bytes(self, height: int, width: int) -> int:
        return sum(critic.memory_bytes(height, width) for critic, _ in self._terms)


def with_weight(critic: Critic, weight: float, before: Critic | None = None) -> Critic:
    """A critic that counts so much, beside one that was there before."""
    if before is not None:
        return Sum((before, critic), (1.0, weight))
    return critic if weight == 1 else Sum((critic,), (weight,))


def digest(told: Any) -> str:
    """SHA-256, hex, of what JSON knows."""
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
