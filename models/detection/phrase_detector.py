"""Detectors that score whole phrases or classes, not words: each phrase is its own token."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from ..pictures.images import rgb
from ..steps import OnStep, quiet
from ..values import Detections
from .base import Detector
from .prompt import parse

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Look = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""Boxes [B, Q, 4] as fractions of the input, and probabilities of the phrases [B, Q, P], for an input [B, 3, H, W]."""


class PhraseDetector(Detector):
    """A network of transformers over pictures, which are brought to its one input size. It computes in float32, or in
    mixed precision."""

    def __init__(self, architecture: str, network: PreTrainedModel, identity: str) -> None:
        self.architecture = architecture
        self.network = network
        self.modules = (network,)
        self.identity = identity

    @abstractmethod
    def ask(self, phrases: Sequence[str]) -> Look:
        """How to look for these phrases.

        Raises:
            BadInput: one that the network cannot be asked for.
        """

    @abstractmethod
    def pixels(self, images: torch.Tensor) -> torch.Tensor:
        """Network input [B, 3, h, w] of RGB images [B, H, W, 3] of values 0..1."""

    def extent(self, height: int, width: int) -> tuple[float, float]:
        """Height and width of the network's input as multiples of the picture's in it."""
        return 1.0, 1.0

    @torch.no_grad()
    def detect(self, images: torch.Tensor, prompt: str, batch_size: int, on_step: OnStep = quiet) -> Detections:
        """See `Detector.detect`."""
        images = rgb(images)
        frames, height, width = images.shape[:3]
        asked = parse(prompt)
        phrases = tuple(phrase.text for phrase in asked)
        look = self.ask(phrases)
        boxes, probabilities = [], []
        for start in range(0, frames, batch_size):
            pixels = self.pixels(images[start : start + batch_size]).to(self.network.device)
            with self.precision():
                found = look(pixels)
            boxes.append(found[0].float().cpu())
            probabilities.append(found[1].float().cpu())
            on_step(min(start + batch_size, frames))
        high, wide = self.extent(height, width)
        return Detections(
            torch.cat(boxes) * torch.tensor([wide, high, wide, high]),
            torch.cat(probabilities),
            torch.eye(len(phrases), dtype=torch.bool),
            phrases,
            phrases,
            height,
            width,
            self.class_names,
            tuple(phrase.limit for phrase in asked),
            tuple(phrase.threshold for phrase in asked),
        )
