"""Inpainters that fill a hole from what surrounds it, without words; their networks are spandrel's."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Sequence
from importlib import import_module
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from ..errors import CannotDo
from ..steps import OnStep
from .base import Inpainter, InpaintRequest, Paint


class PromptlessInpainter(Inpainter):
    """A network that gives the whole picture at once: one step, without prompt, guidance or strength.

    Sizes are padded to what the network takes, as spandrel does: mirrored at the right and at the bottom, pictures and
    holes alike, so that nothing of a hole is seen in the mirror.

    multiple, smallest: sides are multiples of the one and not below the other. square: whether both are the same.
    floats_per_pixel: of activations at the peak, for a padded pixel of each picture; measured.
    """

    multiple: int
    smallest: int
    square: ClassVar = False
    floats_per_pixel: float

    def __init__(self, network: nn.Module, architecture: str) -> None:
        self.network = network
        self.modules = (network,)
        self.architecture = architecture

    def remark(self, prompt: str) -> str:
        if not prompt.strip():
            return ""
        return f"{self.architecture} fills holes from what surrounds them, without words: the prompt is not used."

    def steps(self, request: InpaintRequest) -> int:
        return 1

    def memory_bytes(self, batch_size: int, height: int, width: int, guided: bool = True) -> int:
        tall, wide = self.padded_size(height, width)
        return int(4 * batch_size * tall * wide * self.floats_per_pixel)

    def painter(self, request: InpaintRequest) -> Paint:
        return self._paint

    def _paint(
        self, images: torch.Tensor, holes: torch.Tensor, generators: Sequence[torch.Generator], on_step: OnStep, /
    ) -> torch.Tensor:
        """See `Paint`."""
        height, width = images.shape[1:3]
        size = self.padded_size(height, width)
        device = next(self.network.parameters()).device
        pixels = mirrored(images.movedim(-1, 1), size).to(device)
        hole = mirrored(holes[:, None], size).to(device)
        filled = self._filled(pixels, hole, generators).clamp(0, 1)[:, :, :height, :width].movedim(1, -1)
        on_step(1)
        return filled

    def padded_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of what the network is given for a picture."""
        tall, wide = (-(-max(side, self.smallest) // self.multiple) * self.multiple for side in (height, width))
        return (max(tall, wide), max(tall, wide)) if self.square else (tall, wide)

    @abstractmethod
    def _filled(self, pixels: torch.Tensor, hole: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """Pictures [n, 3, H, W], 0..1 or a little beyond. pixels: [n, 3, H, W], 0..1. hole: [n, 1, H, W], 1 where to
        fill, else 0."""


def mirrored(pictures: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Pictures [n, C, h, w] as [n, C, *size], larger ones mirrored at their right and lower edges, as far as they
    reach, and then continued with the last pixels."""
    height, width = pictures.shape[2:]
    tall, wide = size
    down, right = min(tall, 2 * height - 1), min(wide, 2 * width - 1)
    reflected = F.pad(pictures, (0, right - width, 0, down - height), mode="reflect")
    return F.pad(reflected, (0, wide - right, 0, tall - down), mode="replicate")


def network_class(package: str, architecture: str, model: str, name: str) -> Any:
    """A class from the file in which a package of spandrel's keeps an architecture.

    package: "spandrel" or "spandrel_extra_arches". model: the class that the package gives out. name: the one wanted,
    which stands beside it.

    Raises:
        CannotDo: the package is not installed, or has no such class.
    """
    try:
        given = getattr(import_module(f"{package}.architectures.{architecture}"), model)
        return getattr(sys.modules[given.__module__], name)
    except ImportError as error:
        pip = package.replace("_", "-")
        raise CannotDo(
            f"model: {architecture} runs by {package}, which is not installed here ({error}). Install it into the "
            f"Python that runs this, with 'pip install {pip}', and start again."
        ) from error
    except AttributeError as error:
        raise CannotDo(
            f"model: the installed {package} has no {architecture} as the pack knows it ({error}). Install another "
            f"version of it; {KNOWN[package]} is known."
        ) from error


KNOWN = {"spandrel": "0.4.2", "spandrel_extra_arches": "0.2.0"}
"""Versions that the tests have seen."""
