"""Inception-v3 (Szegedy et al. 2015) as FID defines it: TensorFlow's graph of 2015-12-05 in its port's layout.

It is not torchvision's: it has 1008 classes, its average pooling leaves padding out, and its last block takes the
maximum (Heusel et al. 2017; ports: pytorch-fid, torch-fidelity).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import torch
import torch.nn.functional as F
from torch import nn

CLASSES: Final = 1008
SPATIAL_CHANNELS: Final = 7
"""Of the first branch of Mixed_6d, kept for sFID (Nash et al. 2021; `mixed_6/conv` of guided-diffusion's evaluator)."""

Pair = tuple[int, int]


class Conv(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, given: int, width: int, kernel: int | Pair, stride: int = 1, padding: int | Pair = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(given, width, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=0.001)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


def row_of(given: int, width: int, size: int) -> Conv:
    """A kernel as wide as `size` and one high."""
    return Conv(given, width, (1, size), padding=(0, size // 2))


def column_of(given: int, width: int, size: int) -> Conv:
    """A kernel as high as `size` and one wide."""
    return Conv(given, width, (size, 1), padding=(size // 2, 0))


class BlockA(nn.Module):
    """35 x 35 pixels: kernels of 1, 5, and twice 3."""

    def __init__(self, given: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(given, 64, 1)
        self.branch5x5_1 = Conv(given, 48, 1)
        self.branch5x5_2 = Conv(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = Conv(given, 64, 1)
        self.branch3x3dbl_2 = Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Conv(96, 96, 3, padding=1)
        self.branch_pool = Conv(given, pooled, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branches = [
            self.branch1x1(x),
            self.branch5x5_2(self.branch5x5_1(x)),
            self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x))),
            self.branch_pool(_average(x)),
        ]
        return torch.cat(branches, 1)


class BlockB(nn.Module):
    """35 to 17 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3 = Conv(288, 384, 3, stride=2)
        self.branch3x3dbl_1 = Conv(288, 64, 1)
        self.branch3x3dbl_2 = Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Conv(96, 96, 3, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, 2)], 1)


class BlockC(nn.Module):
    """17 x 17 pixels: kernels of 7 as rows and columns."""

    def __init__(self, inner: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(768, 192, 1)
        self.branch7x7_1 = Conv(768, inner, 1)
        self.branch7x7_2 = row_of(inner, inner, 7)
        self.branch7x7_3 = column_of(inner, 192, 7)
        self.branch7x7dbl_1 = Conv(768, inner, 1)
        self.branch7x7dbl_2 = column_of(inner, inner, 7)
        self.branch7x7dbl_3 = row_of(inner, inner, 7)
        self.branch7x7dbl_4 = column_of(inner, inner, 7)
        self.branch7x7dbl_5 = row_of(inner, 192, 7)
        self.branch_pool = Conv(768, 192, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        branches = [
            self.branch1x1(x),
            self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x))),
            self.branch7x7dbl_5(self.branch7x7dbl_4(double)),
            self.branch_pool(_average(x)),
        ]
        return torch.cat(branches, 1)


class BlockD(nn.Module):
    """17 to 8 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1 = Conv(768, 192, 1)
        self.branch3x3_2 = Conv(192, 320, 3, stride=2)
        self.branch7x7x3_1 = Conv(768, 192, 1)
        self.branch7x7x3_2 = Conv(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = Conv(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = Conv(192, 192, 3, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seven = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), self.branch7x7x3_4(seven), F.max_pool2d(x, 3, 2)], 1)


class BlockE(nn.Module):
    """8 x 8 pixels: kernels of 3 that part into rows and columns."""

    def __init__(self, given: int, takes_maximum: bool) -> None:
        """takes_maximum: pool by it, as only the last block of the 2015 graph does."""
        super().__init__()
        self.branch1x1 = Conv(given, 320, 1)
        self.branch3x3_1 = Conv(given, 384, 1)
        self.branch3x3_2a = row_of(384, 384, 3)
        self.branch3x3_2b = column_of(384, 384, 3)
        self.branch3x3dbl_1 = Conv(given, 448, 1)
        self.branch3x3dbl_2 = Conv(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = row_of(384, 384, 3)
        self.branch3x3dbl_3b = column_of(384, 384, 3)
        self.branch_pool = Conv(given, 192, 1)
        self._takes_maximum = takes_maximum

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = F.max_pool2d(x, 3, 1, padding=1) if self._takes_maximum else _average(x)
        branches = [
            self.branch1x1(x),
            self.branch3x3_2a(single),
            self.branch3x3_2b(single),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self.branch_pool(pooled),
        ]
        return torch.cat(branches, 1)


def _average(x: torch.Tensor) -> torch.Tensor:
    """As TensorFlow counts: padding is no pixel."""
    return F.avg_pool2d(x, 3, 1, padding=1, count_include_pad=False)


class Inception(nn.Module):
    """The whole network; names are those of the published state dict."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Conv(32, 32, 3)
        self.Conv2d_2b_3x3 = Conv(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = Conv(80, 192, 3)
        self.Mixed_5b = BlockA(192, 32)
        self.Mixed_5c = BlockA(256, 64)
        self.Mixed_5d = BlockA(288, 64)
        self.Mixed_6a = BlockB()
        self.Mixed_6b = BlockC(128)
        self.Mixed_6c = BlockC(160)
        self.Mixed_6d = BlockC(160)
        self.Mixed_6e = BlockC(192)
        self.Mixed_7a = BlockD()
        self.Mixed_7b = BlockE(1280, takes_maximum=False)
        self.Mixed_7c = BlockE(2048, takes_maximum=True)
        self.fc = nn.Linear(2048, CLASSES)

    def forward(self, x: torch.Tensor, taps: Collection[str] = ()) -> dict[str, torch.Tensor]:
        """
        Args:
            x: [N, 3, 299, 299], about -1..1. taps: of `64`, `192`, `768`, `spatial`; these are added.

        Returns:
            Features [N, D] by name. `2048`: the mean over the last block. `logits`: [N, 1008], without the bias.
            `64`, `192`: after the first and the second pooling; `768`: before Mixed_7a; the mean over the pixels.
            `spatial`: [N, 2023], 17 x 17 pixels of 7 channels, the channel varying fastest.
        """
        found = {}
        x = F.max_pool2d(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))), 3, 2)
        if "64" in taps:
            found["64"] = _mean(x)
        x = F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, 2)
        if "192" in taps:
            found["192"] = _mean(x)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x))))
        if "spatial" in taps:
            found["spatial"] = x[:, :SPATIAL_CHANNELS].permute(0, 2, 3, 1).flatten(1)
        x = self.Mixed_6e(x)
        if "768" in taps:
            found["768"] = _mean(x)
        found["2048"] = _mean(self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x))))
        found["logits"] = found["2048"] @ self.fc.weight.T
        return found


def _mean(x: torch.Tensor) -> torch.Tensor:
    return F.adaptive_avg_pool2d(x, 1).flatten(1)
