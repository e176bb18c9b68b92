"""Pictures judged by what a network says that they are of: near a text in CLIP's space (VQGAN-CLIP, arXiv:2204.08583),
or near another picture in the space of any network (semantic diffusion guidance, Liu et al. 2021, arXiv:2112.05744)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from torch import nn

from ...errors import BadInput
from ...scoring.extractors.base import Extractor
from ...scoring.extractors.resizes import with_derivatives
from ..base import SampleRequest
from .critic import Critic, digest
from .cutouts import cutouts

SCALE: Final = 100.0
"""Of cosines: that of CLIP's logits (Radford et al. 2021, arXiv:2103.00020), so that scores count like log p."""
CLIP_MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD: Final = (0.26862954, 0.26130258, 0.27577711)
"""Of channels, 0..1, where a host does not tell them."""
KEPT: Final = 4
"""Memory of looking at a picture with the derivative, relative to looking alone."""


class Embedder(ABC):
    """A network that gives a vector for each picture, with derivatives.

    name, identity, files: of it. side: of the pictures that it takes as they are, pixels.
    """

    name: str
    identity: str
    side: int
    modules: tuple[nn.Module, ...]
    files: tuple[Path, ...] = ()

    @abstractmethod
    def vectors(self, pictures: torch.Tensor) -> torch.Tensor:
        """[N, D] of pictures [N, 3, H, W], 0..1, on the device of `modules`."""

    @abstractmethod
    def memory_bytes(self) -> int:
        """Estimate of what looking at one picture takes, without the derivative."""


class ExtractorEmbedder(Embedder):
    """The main features of an extractor."""

    def __init__(self, extractor: Extractor) -> None:
        self.name, self.identity, self.side = extractor.name, extractor.identity, extractor.side
        self.modules, self.files = extractor.modules, extractor.files
        self._extractor = extractor

    def vectors(self, pictures: torch.Tensor) -> torch.Tensor:
        return self._extractor.see(pictures, (self._extractor.main,)).taps[0]

    def memory_bytes(self) -> int:
        return self._extractor.memory_bytes(1)


class VisionEmbedder(Embedder):
    """A vision model that the host has loaded: an adapter over its network."""

    def __init__(
        self,
        name: str,
        identity: str,
        side: int,
        network: nn.Module,
        memory_bytes: Callable[[int], int],
        mean: Sequence[float] = (),
        std: Sequence[float] = (),
    ) -> None:
        """
        Args:
            network: pixels [N, 3, side, side], scaled by mean and std of channels -> vectors [N, D].
            memory_bytes: estimate for a batch of N. mean, std: empty for CLIP's.
        """
        self.name, self.identity, self.side = name, identity, side
        self.modules = (network,)
        self._memory_bytes = memory_bytes
        self._mean, self._std = tuple(mean) or CLIP_MEAN, tuple(std) or CLIP_STD

    def vectors(self, pictures: torch.Tensor) -> torch.Tensor:
        pixels = with_derivatives(pictures, self.side) / 255
        mean, std = (pixels.new_tensor(values).view(3, 1, 1) for values in (self._mean, self._std))
        return self.modules[0]((pixels - mean) / std)

    def memory_bytes(self) -> int:
        return self._memory_bytes(1)


class EmbeddingCritic(Critic):
    """SCALE times the cosine to what is asked for, the mean over cutouts of the picture, or that of the whole."""

    def __init__(
        self,
        name: str,
        embedder: Embedder,
        targets: torch.Tensor,
        asked: Sequence[str],
        cutouts: int = 0,
        asked_by: str = "",
    ) -> None:
        """
        Args:
            targets: [T, D], what is asked for; sample i takes T i, the first again after the last.
            asked: of each what it is of: a text, or a picture's digest. cutouts: number of each picture; 0 looks at the
                whole. asked_by: identity of what made them, where it is another network.
        """
        self.name = name
        self.modules, self.files = embedder.modules, embedder.files
        self._embedder, self._cutouts = embedder, cutouts
        with torch.inference_mode(False), torch.no_grad():
            self._targets = F.normalize(targets.float().cpu().clone(), dim=1)
        self.identity = digest([name, embedder.identity, asked_by, list(asked), cutouts])
        squares = f", mean over {cutouts} cutouts" if cutouts else ""
        self.notes = (f"{name} critic: cosine to {', '.join(dict.fromkeys(asked))} by {embedder.name}{squares}",)

    def scores(
        self, pictures: torch.Tensor, requests: Sequence[SampleRequest], streams: Sequence[torch.Generator]
    ) -> torch.Tensor:
        each = max(1, self._cutouts)
        if self._cutouts:
            pictures = cutouts(pictures, self._cutouts, self._embedder.side, streams)
        vectors = F.normalize(self._embedder.vectors(pictures), dim=1)
        targets = self._targets[[request.index % len(self._targets) for request in requests]].to(vectors)
        if vectors.shape[1] != targets.shape[1]:
            raise BadInput(
                f"clip, clip_vision: prompts have {targets.shape[1]} features and images {vectors.shape[1]}; connect "
                "the two halves of the same CLIP."
            )
        return SCALE * (vectors.unflatten(0, (-1, each)) * targets[:, None]).sum(dim=2).mean(dim=1)

    def memory_bytes(self, height: int, width: int) -> int:
        return KEPT * max(1, self._cutouts) * self._embedder.memory_bytes()
