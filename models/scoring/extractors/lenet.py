"""LeNet-5 (LeCun et al. 1998) of handwritten digits as an extractor: models of MNIST are scored in their own space."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import torch
from torch import nn

from ... import weights
from ...families import Family
from ...files.checkpoints import Checkpoint
from ...generators.reconstruction import REC_601
from ...random_weights import write_random
from ...weights import DtypeFor, empty_weights
from .base import Answers, Extractor, weight_files
from .resizes import resize, with_derivatives

NAME: Final = "LeNet (MNIST)"
SIDE: Final = 32
"""Of what it sees, in pixels; digits of 28 are enlarged."""
TAP: Final = "84"
FEATURES: Final = 84
CLASSES: Final = 10
VALUES_PER_IMAGE: Final = SIDE * SIDE + 2 * 6 * 28 * 28
"""float32 values alive at once, where they are most: the first convolution before and after its ReLU."""
SIGNS: Final = frozenset({"convnet.c1.weight", "convnet.c5.weight", "fc.f7.weight"})


class LeNet(nn.Module):
    """Three convolutions, two of them halved by their largest values, and two dense layers; ReLU between all."""

    def __init__(self) -> None:
        super().__init__()
        convolutions: dict[str, nn.Module] = {
            "c1": nn.Conv2d(1, 6, 5),
            "relu1": nn.ReLU(),
            "s2": nn.MaxPool2d(2),
            "c3": nn.Conv2d(6, 16, 5),
            "relu3": nn.ReLU(),
            "s4": nn.MaxPool2d(2),
            "c5": nn.Conv2d(16, 120, 5),
            "relu5": nn.ReLU(),
        }
        dense: dict[str, nn.Module] = {
            "f6": nn.Linear(120, FEATURES),
            "relu6": nn.ReLU(),
            "f7": nn.Linear(FEATURES, CLASSES),
        }
        self.convnet = nn.Sequential(OrderedDict(convolutions))
        self.fc = nn.Sequential(OrderedDict(dense))

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """[N, 84] of pixels [N, 1, 32, 32], 0..1."""
        return self.fc.get_submodule("relu6")(self.fc.get_submodule("f6")(self.convnet(pixels).flatten(1)))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits [N, 10]."""
        return self.fc.get_submodule("f7")(self.features(pixels))


class LeNetExtractor(Extractor):
    """84 features, before the last layer, and the probabilities of the ten digits. Colours become their luma."""

    name = NAME
    main = TAP
    classes = CLASSES
    side = SIDE

    def __init__(self, network: LeNet) -> None:
        self.taps = {TAP: FEATURES}
        self.network = network
        self.modules = (network,)
        self.identity = weights.identity(network.state_dict())

    @property
    def setup(self) -> Mapping[str, str]:
        return {"model": NAME, "layer": TAP, "side": str(SIDE), "values": "luma / 255"}

    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        return _luma(resize(images, SIDE, self.resize).float())

    def extract(self, prepared: torch.Tensor, taps: Sequence[str]) -> Answers:
        last = self.network.fc.get_submodule("f7")
        features = self.network.features(prepared.to(next(self.network.parameters()).device) / 255)
        return Answers(tuple(features.cpu() for _ in taps), last(features).log_softmax(dim=1).cpu())

    def see(self, pictures: torch.Tensor, taps: Sequence[str]) -> Answers:
        features = self.network.features(_luma(with_derivatives(pictures, SIDE)) / 255)
        logits = self.network.fc.get_submodule("f7")(features)
        return Answers(tuple(features for _ in taps), logits.log_softmax(dim=1))

    def memory_bytes(self, batch_size: int) -> int:
        return 4 * VALUES_PER_IMAGE * batch_size


def _luma(pixels: torch.Tensor) -> torch.Tensor:
    return (pixels * pixels.new_tensor(REC_601).view(-1, 1, 1)).sum(dim=1, keepdim=True)


def _detect(checkpoint: Checkpoint) -> bool:
    return checkpoint.tensors.keys() >= SIGNS


def _load(checkpoint: Checkpoint, dtype_for: DtypeFor) -> Extractor:
    with empty_weights():
        network = LeNet()
    weights.fill(network, checkpoint.tensors, f"{checkpoint.name}, {NAME}")
    return LeNetExtractor(network)


def _tiny(folder: Path) -> Path:
    return write_random(folder, LeNet())


def _typical() -> frozenset[str]:
    with empty_weights():
        return frozenset(LeNet().state_dict())


LENET: Final[Family[Extractor]] = Family(NAME, _detect, _load, _tiny, weight_files, _typical)
