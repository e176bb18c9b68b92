"""The contract of every detector: what it says of itself, and how it looks for what a prompt names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import torch
from torch import nn

from ..steps import OnStep, quiet
from ..values import Detections


class Detector(ABC):
    """Weights of one architecture, ready to look at pictures. Holds no state of a run.

    A subclass sets `architecture`, `modules` and `identity`, and implements `detect` and `memory_bytes`.
    """

    architecture: str
    """Its name, as messages and reports show it."""
    modules: tuple[nn.Module, ...]
    """The networks that must lie on one device for `detect`, which asks their parameters for it."""
    identity: str
    """Tells these weights from all others; see `weights.identity`."""
    class_names: tuple[str, ...] = ()
    """What it can find at all, where that is a closed set."""
    files: tuple[Path, ...] = ()
    """What it was read from; empty where it comes from no file."""
    notes: tuple[str, ...] = ()
    """What was chosen of the file, as sentences: which of several networks, and whether averaged."""
    mixed: bool = False
    """Whether matrix products are in bfloat16; see `mixed_precision`."""

    def precision(self) -> torch.autocast:
        """The context in which the networks compute."""
        device = next(self.modules[0].parameters()).device.type
        return torch.autocast(device, torch.bfloat16, enabled=self.mixed)

    @abstractmethod
    def detect(self, images: torch.Tensor, prompt: str, batch_size: int, on_step: OnStep = quiet) -> Detections:
        """Look for the phrases of a prompt in images [B, H, W, 3 or 4], 0..1; an alpha channel is ignored.

        Returns every candidate of every image, before any threshold, on the CPU; those of one image do not depend on
        the others. batch_size: images looked at together, at least 1. on_step: called after each batch with the number
        of images done.

        Raises:
            BadInput: images that are no such batch, or hold NaN; a prompt that is empty, or that this detector cannot
                read.
        """

    @abstractmethod
    def memory_bytes(self, batch_size: int, height: int, width: int) -> int:
        """Memory that `detect` takes beside the weights for images of `height` x `width` pixels, `batch_size` of them
        together; within 0.7 to 1.5 times of what is measured."""
