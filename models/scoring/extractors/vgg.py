"""VGG-16 of ImageNet (Simonyan and Zisserman 2015) as an extractor, from torchvision's file.

Its second dense layer is what improved precision and recall (Kynkäänniemi et al. 2019) look at, here as torch-fidelity
takes it: pictures of 224 pixels by the TF1 resize, the layer behind its ReLU, k = 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from ... import imagenet, weights
from ...families import Family
from ...files.checkpoints import Checkpoint
from ...weights import DtypeFor, Tensors, empty_weights
from .base import Answers, Extractor
from .resizes import resize, with_derivatives

NAME: Final = "VGG-16"
DATA: Final = "ImageNet"
TAP: Final = "fc2"
SIDE: Final = 224
POOLED: Final = 7
"""Pixels along a side of the last maps."""
MEAN: Final = (0.485, 0.456, 0.406)
STD: Final = (0.229, 0.224, 0.225)
"""Of ImageNet's channels, 0..1."""
STAGES: Final = (2, 2, 3, 3, 3)
"""Convolutions before each pooling."""
CONVOLUTIONS: Final = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
"""Their places in torchvision's row of layers."""
BEYOND: Final = "features.30.weight"
"""What VGG-16 with batch norms has too."""
ITS: Final = ("features.17.weight", "features.28.weight", "classifier.0.weight")
"""Tensors that VGG-16 has, and of its kin VGG-16 with batch norms alone."""


class Sizes(NamedTuple):
    """widths: of the 13 convolutions. dense: of the first two dense layers. classes: of the third."""

    widths: tuple[int, ...]
    dense: tuple[int, int]
    classes: int


PUBLISHED: Final = Sizes((64, 64, 128, 128, *(256,) * 3, *(512,) * 6), (4096, 4096), 1000)


class VGG(nn.Module):
    """The whole network; names are those of torchvision's state dict."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        given, widths = 3, iter(sizes.widths)
        for count in STAGES:
            for width in (next(widths) for _ in range(count)):
                layers += [nn.Conv2d(given, width, 3, padding=1), nn.ReLU(inplace=True)]
                given = width
            layers.append(nn.MaxPool2d(2))
        self.sizes = sizes
        self.features = nn.Sequential(*layers)
        first, second = sizes.dense
        self.classifier = nn.ModuleDict(
            {
                "0": nn.Linear(given * POOLED**2, first),
                "3": nn.Linear(first, second),
                "6": nn.Linear(second, sizes.classes),
            }
        )

    def maps(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The first convolution of each stage behind its ReLU, [N, C, h, w], of pictures [N, 3, H, W]."""
        found, place = [], 0
        for first in (CONVOLUTIONS[sum(STAGES[:stage])] for stage in range(len(STAGES))):
            x = self.features[place : first + 2](x)
            found.append(x)
            # The next layer is a convolution or a pooling, which leave what they are given as it is.
            place = first + 2
        return tuple(found)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The second dense layer behind its ReLU, [N, D], and logits [N, C], of pictures [N, 3, 224, 224]."""
        x = F.relu(self.classifier["0"](self.features(x).flatten(1)))
        x = F.relu(self.classifier["3"](x))
        return x, self.classifier["6"](x)


class VGGExtractor(Extractor):
    """4,096 features and the probabilities of ImageNet's 1,000 classes. No FID: that is Inception's."""

    main = TAP
    side = SIDE

    def __init__(self, network: VGG) -> None:
        self.name = f"{NAME} ({_size(network.sizes)})"
        self.identity = weights.identity(network.state_dict())
        self.taps = {TAP: network.sizes.dense[1]}
        self.classes = network.sizes.classes
        self.network = network
        self.modules = (network,)

    @property
    def class_names(self) -> tuple[str, ...]:
        return imagenet.class_names() if self.classes == imagenet.CLASSES else ()

    @property
    def setup(self) -> Mapping[str, str]:
        return {
            "model": NAME if self.network.sizes == PUBLISHED else self.name,
            "layer": TAP,
            "features": str(self.taps[TAP]),
            "side": str(SIDE),
            "mean": " ".join(f"{value!r}" for value in MEAN),
            "std": " ".join(f"{value!r}" for value in STD),
        }

    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        return resize(images, SIDE, self.resize)

    def extract(self, prepared: torch.Tensor, taps: Sequence[str]) -> Answers:
        pixels = prepared.to(next(self.network.parameters()).device, torch.float32, copy=True)
        features, logits = self.network(_normalised(pixels))
        features = features.cpu()
        return Answers(tuple(features for _ in taps), logits.log_softmax(dim=1).cpu())

    def see(self, pictures: torch.Tensor, taps: Sequence[str]) -> Answers:
        features, logits = self.network(_normalised(with_derivatives(pictures, SIDE)))
        return Answers(tuple(features for _ in taps), logits.log_softmax(dim=1))

    def maps(self, pictures: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.network.maps(_normalised(with_derivatives(pictures, SIDE)))

    def memory_bytes(self, batch_size: int) -> int:
        # The first two convolutions, and the input twice.
        return 4 * SIDE * SIDE * (sum(self.network.sizes.widths[:2]) + 2 * 3) * batch_size


def _normalised(pixels: torch.Tensor) -> torch.Tensor:
    """Values 0..255 as the network takes them, in place."""
    mean, std = (255 * pixels.new_tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return pixels.sub_(mean).div_(std)


def _size(sizes: Sizes) -> str:
    return DATA if sizes == PUBLISHED else f"{sizes.dense[1]:,} features"


def _sizes(tensors: Tensors) -> Sizes:
    """As the numbers of rows tell; the fill says where other sizes do not fit them."""
    widths = tuple(_rows(tensors, f"features.{place}") for place in CONVOLUTIONS)
    first, second, classes = (_rows(tensors, f"classifier.{place}") for place in (0, 3, 6))
    return Sizes(widths, (first, second), classes)


def _rows(tensors: Tensors, layer: str) -> int:
    weight = tensors[f"{layer}.weight"]
    return weight.shape[0] if weight.ndim else 0


def _detect(checkpoint: Checkpoint) -> bool:
    return all(name in checkpoint.tensors for name in ITS) and BEYOND not in checkpoint.tensors


def _load(checkpoint: Checkpoint, dtype_for: DtypeFor) -> Extractor:
    with empty_weights():
        network = VGG(_sizes(checkpoint.tensors))
    weights.fill(network, checkpoint.tensors, f"{checkpoint.name}, {NAME}")
    return VGGExtractor(network)


def _typical() -> frozenset[str]:
    with empty_weights():
        return frozenset(VGG(PUBLISHED).state_dict())


def _tiny(folder: Path) -> Path:
    from safetensors.torch import save_file

    with empty_weights():
        shapes = {key: value.shape for key, value in VGG(Sizes((8,) * 13, (16, 12), 10)).state_dict().items()}
    drawing = torch.Generator().manual_seed(0)
    tensors = {
        key: torch.randn(shape, generator=drawing) * (2 / max(shape[1:].numel(), 1)) ** 0.5
        for key, shape in shapes.items()
    }
    path = folder / "vgg16.safetensors"
    save_file(tensors, path)
    return path


VGG_16: Final[Family[Extractor]] = Family(f"{NAME} ({DATA})", _detect, _load, _tiny, typical=_typical)
