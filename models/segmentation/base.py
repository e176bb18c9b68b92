"""The contract of every segmenter: images to an embedding, an embedding and prompts to masks."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import nn

from ..pictures.images import rgb
from ..steps import OnStep, quiet
from .prompts import Prompt

KEPT_BYTES: Final = 2**28
"""Bytes of features that an embedding keeps: of 64 images of a SAM ViT, of 16 of a SAM 2."""


class Embedding(NamedTuple):
    """What a segmenter saw in a batch of B images of one size: of the first K at once, of the others when asked.

    features: the maps that its decoder reads, float32 [K, ...] each; SAM has one, SAM 2 three.
    height, width: size of the images in pixels.
    identity: `Segmenter.identity` of the network that made it.
    later: the images after those, [B - K, H, W, 3], since the features of a whole video would fill the memory.
    """

    features: tuple[torch.Tensor, ...]
    height: int
    width: int
    identity: str
    later: torch.Tensor = torch.empty(0)

    @property
    def kept(self) -> int:
        """The number of images whose features are here, K; at least one."""
        return len(self.features[0])

    @property
    def frames(self) -> int:
        """The number of images, B."""
        return self.kept + len(self.later)


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

        Those whose features would take more than `KEPT_BYTES` are left for `seen`; the images themselves are not
        copied. The features are on the device of the images.

        Raises:
            BadInput: what `check_images` refuses.
        """
        images = rgb(images)
        features: tuple[torch.Tensor, ...] = ()
        done, kept = 0, len(images)
        while done < kept:
            found = self.look(images[done : min(done + batch_size, kept)])
            if not features:
                kept = max(len(found[0]), min(kept, KEPT_BYTES // sum(maps[0].nbytes for maps in found)))
                # Where the images are: they would fill the device that the network is on.
                features = tuple(maps.new_empty(kept, *maps.shape[1:], device=images.device) for maps in found)
            for maps, part in zip(features, found, strict=True):
                maps[done : done + len(part)] = part
            done += len(found[0])
            on_step(done)
        if kept < len(images):
            on_step(len(images))
        return Embedding(features, images.shape[1], images.shape[2], self.identity, images[kept:])

    @torch.no_grad()
    def seen(self, embedding: Embedding, frame: int) -> Embedding:
        """The embedding of one image of the batch, on the device of the network, which looks at it now if its features
        were not kept."""
        later = frame - embedding.kept
        if later >= 0:
            features = self.look(embedding.later[later : later + 1])
        else:
            device = next(self.modules[-1].parameters()).device
            features = tuple(maps[frame : frame + 1].to(device) for maps in embedding.features)
        return Embedding(features, embedding.height, embedding.width, embedding.identity)

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

        frame: of those whose features the embedding has; see `seen`.
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
