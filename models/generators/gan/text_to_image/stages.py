"""Layers of StackGAN++ (Zhang et al. 2017) that AttnGAN and DM-GAN took over, under their published names."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ....weights import Tensors, count_layers

FIRST = 4
"""Side of what a dense layer makes of z and sentence, pixels."""
DOUBLINGS = 4
"""Of the first stage: its pictures have 64 pixels."""
COUNTER = ".num_batches_tracked"
"""End of the names of tensors that count batches."""
WIDEN = 16
"""Channels of the first stage's dense layer relative to its last."""


class ConditioningAugmentation(nn.Module):
    """A sentence to a Gaussian of which its condition is drawn."""

    def __init__(self, text_dim: int, size: int) -> None:
        super().__init__()
        self.fc = nn.Linear(text_dim, 4 * size)

    def distribution(self, sentence: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance, [N, size] each."""
        mean, log_variance = nn.functional.glu(self.fc(sentence), dim=1).chunk(2, dim=1)
        return mean, log_variance

    def forward(self, sentence: Tensor, noise: Tensor) -> Tensor:
        mean, log_variance = self.distribution(sentence)
        return mean + noise * (0.5 * log_variance).exp()


def convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """3 x 3, of the same side."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)


def gated(inputs: int, outputs: int) -> list[nn.Module]:
    """Convolution, normalisation, and one half of the channels as gates of the other."""
    return [convolution(inputs, 2 * outputs), nn.BatchNorm2d(2 * outputs), nn.GLU(dim=1)]


def enlarging(inputs: int, outputs: int) -> nn.Sequential:
    """Twice the side."""
    return nn.Sequential(nn.Upsample(scale_factor=2), *gated(inputs, outputs))


class Residual(nn.Module):
    """Two convolutions, added to what was there."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            *gated(channels, channels), convolution(channels, channels), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x) + x


def residuals(channels: int, count: int) -> nn.Sequential:
    """So many in a row."""
    return nn.Sequential(*(Residual(channels) for _ in range(count)))


class FirstStage(nn.Module):
    """Condition and z, [N, inputs], to [N, channels, 64, 64]."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        wide = WIDEN * channels
        values = 2 * wide * FIRST**2
        self.fc = nn.Sequential(nn.Linear(inputs, values, bias=False), nn.BatchNorm1d(values), nn.GLU(dim=1))
        for number in range(1, DOUBLINGS + 1):
            self.add_module(f"upsample{number}", enlarging(wide, wide // 2))
            wide //= 2

    def weights_of_last(self, count: int) -> Tensor:
        """What the dense layer has for its last inputs, [outputs, count]."""
        return self.fc.get_submodule("0").get_parameter("weight")[:, -count:]

    def forward(self, given: Tensor) -> Tensor:
        x = self.fc(given).unflatten(1, (-1, FIRST, FIRST))
        for number in range(1, DOUBLINGS + 1):
            x = self.get_submodule(f"upsample{number}")(x)
        return x


class Colours(nn.Module):
    """Features to a picture in -1..1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.img = nn.Sequential(convolution(channels, 3), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        return self.img(x)


def sides(stages: int) -> tuple[int, ...]:
    """Of the pictures of each stage, pixels."""
    return tuple(FIRST << DOUBLINGS + stage for stage in range(stages))


def count_stages(tensors: Tensors) -> int:
    """How many there are in a file."""
    return count_layers([f"h_net{int(number) - 1}" for number in _numbers(tensors)], "h_net{}")


def _numbers(tensors: Tensors) -> set[str]:
    parts = {name.partition(".")[0].removeprefix("h_net") for name in tensors if name.startswith("h_net")}
    return {part for part in parts if part.isdecimal()}


def count_residuals(tensors: Tensors) -> int:
    """How many the second stage has, and all that follow."""
    return count_layers(tensors, "h_net2.residual.{}.block.0.weight")


def with_counters(network: nn.Module, tensors: Tensors) -> Tensors:
    """The tensors with counters of batches, which files of early PyTorch do not hold and inference does not need."""
    counters = {name: torch.tensor(0) for name in network.state_dict() if name.endswith(COUNTER)}
    return {**counters, **tensors}
