"""The pack's classifier of small pictures as an extractor: its scores rank starters, and are no FID of Inception's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch

from .base import Answers, Extractor, Source
from .classifier import Classifier
from .resizes import resize
from .weights import identity_of

SIDE: Final = 32
"""Of the pictures that it was trained on, in pixels."""
TAP: Final = "features"
VALUES_PER_IMAGE: Final = 3 * 32 * SIDE * SIDE + 3 * SIDE * SIDE
"""float32 values alive at once, in the first block: 32 channels convolved, normalised and activated."""


class ClassifierExtractor(Extractor):
    """128 features, the mean over the picture of the last convolution, and the probabilities of its classes."""

    main = TAP

    def __init__(self, network: Classifier, name: str, resize: str) -> None:
        """name: as tables show it. resize: a key of resizes.RESIZES."""
        self.source = Source(name, identity_of(network.state_dict()), resize)
        self.taps = {TAP: network.feature_size}
        self.classes = len(network.class_names)
        self.modules = (network,)

    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        return resize(images, SIDE, self.source.resize)

    def extract(self, prepared: torch.Tensor, taps: Sequence[str]) -> Answers:
        (network,) = self.modules
        device = network.head.weight.device
        pixels = prepared.to(device).to(torch.float32, memory_format=torch.contiguous_format)
        features = network.features(pixels / 127.5 - 1)
        log_probabilities = network.head(features).log_softmax(dim=1)
        return Answers(tuple(features.cpu() for _ in taps), log_probabilities.cpu())

    def memory_bytes(self, batch_size: int) -> int:
        return 4 * VALUES_PER_IMAGE * batch_size
