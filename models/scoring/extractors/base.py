"""The contract of feature extractors: images -> features, and what a result must say of how they were taken."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import nn

from ...errors import BadInput, CannotDo
from ...pictures import png
from .resizes import RESIZES

E = TypeVar("E", bound="Extractor")


@dataclass(frozen=True)
class Source:
    """How features were taken. Features of different sources are never merged or compared.

    extractor: name of the network, as tables show it. identity: hash of its weights.
    resize: name of the way from pixels to the network's input (resampling and scaling).
    setup: what else protocols.py asks of it, as far as it is told: "model", "layer", "features", "side" in pixels,
        "mean" and "std" of channels, "values"; the same for features of equal names and weights.
    """

    extractor: str
    identity: str
    resize: str
    setup: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from others."""
        return self.extractor, self.identity, self.resize


class Answers(NamedTuple):
    """What a network says of N images.

    taps: float32 [N, D] each, in the order asked for; those of `Extractor.extract` on the CPU.
    log_probabilities: float32 [N, C] of its classes, at the same place; None where it has none.
    """

    taps: tuple[torch.Tensor, ...]
    log_probabilities: torch.Tensor | None


class Extractor(ABC):
    """A network that describes images by features.

    A subclass sets the attributes and implements `prepare`, `extract` and `memory_bytes`. `extract` runs under
    `torch.no_grad`, with `modules` on one device, which it asks their own parameters for.

    name: of the network, as tables show it. identity: of its weights. resize: a key of resizes.RESIZES, the first of
    them until `with_resize` binds another.
    taps: name -> size of the features there, the deepest last. main: the tap that scores use.
    spatial: the tap of sFID; None where it has none. depths: taps of Compound FID, shallow to deep; empty where none.
    classes: number of classes, 0 where it has none.
    side: of the pictures that `see` takes as they are, pixels; 0 where it takes none. modules: what the host places.
    files: what it was read from; empty where the host has read it. notes: what was chosen of it, as sentences.
    """

    name: str
    identity: str
    resize: str = next(iter(RESIZES))
    taps: Mapping[str, int]
    main: str
    spatial: str | None = None
    depths: tuple[str, ...] = ()
    classes: int = 0
    side: int = 0
    modules: tuple[nn.Module, ...]
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def source(self) -> Source:
        """What features say of how they were taken."""
        return Source(self.name, self.identity, self.resize, dict(self.setup))

    @property
    def setup(self) -> Mapping[str, str]:
        """See `Source`."""
        return {}

    def with_resize(self: E, resize: str) -> E:
        """The same network behind another way from pixels to its input.

        Raises:
            BadInput: there is no such way.
        """
        if resize not in RESIZES:
            raise BadInput(f"resize: there is no {resize!r}; choose one of {', '.join(RESIZES)}.")
        bound = copy.copy(self)
        bound.resize = resize
        return bound

    @abstractmethod
    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        """The network's input, CPU [N, ...], one shape whatever the images' size; image i decides row i alone.

        images: uint8 [N, H, W, 3]. Runs on the CPU, also in another thread than `extract`.
        """

    @abstractmethod
    def extract(self, prepared: torch.Tensor, taps: Sequence[str]) -> Answers:
        """Features of what `prepare` gave at the taps asked for; only these are computed where it saves time."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of its classes in order; empty where nothing tells them."""
        return ()

    def see(self, pictures: torch.Tensor, taps: Sequence[str]) -> Answers:
        """The same of pictures [N, 3, H, W], 0..1 or a little beyond, on the device of `modules`, where the answers
        stay, with their derivatives: brought to `side` by bilinear resampling with antialiasing, not rounded.

        Raises:
            CannotDo: there are no derivatives.
        """
        raise CannotDo(
            f"extractor: {self.name} gives no derivatives; take one of Load Feature Extractor, or connect clip_vision."
        )

    def maps(self, pictures: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What layers make of pictures, as `see` takes them: [N, C, h, w] each, shallow to deep, with derivatives.

        Raises:
            CannotDo: it tells of no layers.
        """
        raise CannotDo(f"extractor: {self.name} tells nothing of its layers; load VGG-16, or the starter classifier.")

    @abstractmethod
    def memory_bytes(self, batch_size: int) -> int:
        """Activation memory of one batch, within 0.7 to 1.5 times of what is measured."""


def chosen_taps(extractor: Extractor, sfid: bool = False, compound_fid: bool = False) -> tuple[str, ...]:
    """The taps that scores need, the main one first.

    Raises:
        BadInput: the extractor has no features for one of the scores.
    """
    names = [extractor.main]
    if sfid:
        if extractor.spatial is None:
            raise _without(extractor, "sfid")
        names.append(extractor.spatial)
    if compound_fid:
        if not extractor.depths:
            raise _without(extractor, "compound_fid")
        names += extractor.depths
    return tuple(dict.fromkeys(names))


def _without(extractor: Extractor, score: str) -> BadInput:
    return BadInput(f"{score}: {extractor.name} has no features for it; switch it off.")


def weight_files(path: Path) -> tuple[Path, ...]:
    """What an extractor is read from: a file, or the weights in its folder."""
    return (path / "model.safetensors" if path.is_dir() else path,)


def eight_bit(images: torch.Tensor) -> torch.Tensor:
    """IMAGE [N, H, W, 3 or 4], 0..1, as uint8 [N, H, W, 3] on the CPU: as a saved PNG holds it, without alpha."""
    return png.eight_bit(images[..., :3])
