"""The contract of every segmenter: images to an embedding, an embedding and prompts to masks."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from ..pictures.images import rgb
from ..steps import OnStep, quiet
from .prompts import Prompt


class Embedding(NamedTuple):
    """What a segmenter saw in a batch of B images of one size.

    features: the maps that its decoder reads, float32 [B, ...] each; SAM has one, SAM 2 three.
    height, width: size of the images in pixels.
    identity: `Segmenter.identity` of the network that made it.
    """

    features: tuple[torch.Tensor, ...]
    height: int
    width: int
    identity: str

    @property
    def frames(self) -> int:
        """The number of images, B."""
        return len(self.features[0])


class MaskLogits(NamedTuple):
    """What a segmenter said of N objects before it was cut into masks, so that it can be asked again about them.

    values: float32 [N, h, w] at the decoder's resolution, positive on the object; one for each prompt, in their order.
    frames: index of the image of each.
    height, width: size of the images in pixels.
    identity: `Segmenter.identity` of the network that gave them.
    """

    values: torch.Tensor
    frames: tuple[int, ...]
    height: int
    width: int
    identity: str


class Segmenter(ABC):
    """Weights of one architecture, ready to look at images and to answer prompts.

    A subclass sets `architecture`, `modules` and `identity`, and implements the rest for its own network, which lies
    on one device. What is the same for all is outside: chunks, the choice of a mask, and objects (`decoding.py`).
    """

    architecture: str
    """As messages and reports show it."""
    modules: tuple[nn.Module, ...]
    """The networks that a host places on a device, all together."""
    identity: str
    """Tells these weights from others, so that an embedding is decoded only by the network that made it."""
    logits_within: float = math.inf
    """As far from 0 as its authors' predictor lets logits be that are handed on."""
    files: tuple[Path, ...] = ()
    """What it was read from."""
    notes: tuple[str, ...] = ()
    """What was chosen of the file, as sentences: which of several networks, and whether averaged."""

    @torch.no_grad()
    def encode(self, images: torch.Tensor, batch_size: int = 1, on_step: OnStep = quiet) -> Embedding:
        """Embed images [B, H, W, 3 or 4], values 0..1, `batch_size` at a time; `on_step` gets the images done so far.
        The features are on the device of the images.

        Raises:
            BadInput: what `check_images` refuses.
        """
        images = rgb(images)
        batches = []
        for start in range(0, len(images), batch_size):
            # Where the images are: a video's features would fill the device that the network is on.
            batches.append([maps.to(images.device) for maps in self.look(images[start : start + batch_size])])
            on_step(min(start + batch_size, len(images)))
        features = tuple(torch.cat(maps) for maps in zip(*batches, strict=True))
        return Embedding(features, images.shape[1], images.shape[2], self.identity)

    @abstractmethod
    def look(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The feature maps, float32 [B, ...] each, of images [B, H, W, 3], 0..1, on the CPU or not."""

    @abstractmethod
    def decode(
        self,
        embedding: Embedding,
        frame: int,
        prompts: Sequence[Prompt],
        three: bool,
        previous: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The answer to N prompts of one image: mask logits [N, M, h, w] and predicted IoU [N, M], float32.

        The prompts all have boxes or none has, and all have the same number of points. three: asks for the masks
        from part to whole, M of them; else M is 1. previous: logits [N, 1, h, w] of an earlier answer that these
        prompts correct.
        """

    @abstractmethod
    def upscale(self, logits: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Logits [h, w] of one mask at the size of the image: [height, width]."""

    @abstractmethod
    def extent(self, logits: torch.Tensor, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of logits [..., h, w] that an image of height x width covers; the rest is padding."""

    @abstractmethod
    def encode_bytes(self, batch_size: int) -> int:
        """Activation memory of `encode`, within 0.7 to 1.5 times of what is measured."""

    @abstractmethod
    def prompt_bytes(self) -> int:
        """Activation memory that `decode` takes for each prompt."""

    @abstractmethod
    def decode_bytes(self, prompts: int, height: int, width: int) -> int:
        """Activation memory of `decoding.segment`, so many prompts at once, for images of height x width; as
        `encode_bytes`."""
