"""AttnGAN (Xu et al. 2018): StackGAN++ whose further stages look at the words of the sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ....weights import Tensors
from .drawing import Drawn, TextNetwork, attend
from .stages import (
    Colours,
    ConditioningAugmentation,
    FirstStage,
    count_residuals,
    count_stages,
    enlarging,
    residuals,
    sides,
)


class Sizes(NamedTuple):
    """condition: of what is drawn of the sentence. channels: of all stages' last layers."""

    z_dim: int
    text_dim: int
    condition: int
    channels: int
    stages: int
    residuals: int


class WordAttention(nn.Module):
    """Words [N, text_dim, L], brought to the channels of places."""

    def __init__(self, channels: int, text_dim: int) -> None:
        super().__init__()
        self.conv_context = nn.Conv2d(text_dim, channels, 1, bias=False)

    def forward(self, places: Tensor, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        known = self.conv_context(words[..., None])[..., 0]
        return attend(places, known, known, mask)


class NextStage(nn.Module):
    """Features [N, channels, side, side] and words to those of twice the side, and the maps of the words."""

    def __init__(self, size: Sizes) -> None:
        super().__init__()
        self.att = WordAttention(size.channels, size.text_dim)
        self.residual = residuals(2 * size.channels, size.residuals)
        self.upsample = enlarging(2 * size.channels, size.channels)

    def forward(self, x: Tensor, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        seen, maps = self.att(x, words, mask)
        return self.upsample(self.residual(torch.cat([x, seen], dim=1))), maps


class StagedNetwork(TextNetwork):
    """A first stage, and further ones that a subclass makes and that look at words."""

    def __init__(self, size: Sizes) -> None:
        super().__init__()
        self.z_dim, self.text_dim, self.noise_dim = size.z_dim, size.text_dim, size.condition
        self.sides, self.attends = sides(size.stages), size.stages - 1
        self.ca_net = ConditioningAugmentation(size.text_dim, size.condition)
        self.h_net1 = FirstStage(size.condition + size.z_dim, size.channels)
        self.img_net1 = Colours(size.channels)
        for number in range(2, size.stages + 1):
            self.add_module(f"h_net{number}", self.next_stage(size))
            self.add_module(f"img_net{number}", Colours(size.channels))
        # Of the last stage: features before it, enlarged, and before their gates.
        self.floats = 5 * size.channels * self.sides[-1] ** 2

    def next_stage(self, size: Sizes) -> nn.Module:
        """Features, words and mask to features of twice the side and the maps of the words."""
        return NextStage(size)

    def z_weights(self) -> Tensor:
        return self.h_net1.weights_of_last(self.z_dim)

    def forward(self, z: Tensor, sentence: Tensor, noise: Tensor, words: Tensor, masks: Sequence[Tensor]) -> Drawn:
        x = self.h_net1(torch.cat([self.ca_net(sentence, noise), z], dim=1))
        pictures, found = [self.img_net1(x)], []
        for number, mask in enumerate(masks, 2):
            x, maps = self.get_submodule(f"h_net{number}")(x, words, mask)
            pictures.append(self.get_submodule(f"img_net{number}")(x))
            found.append(maps)
        return Drawn(tuple(pictures), tuple(found))


class AttnGAN(StagedNetwork):
    """The published one."""


def sizes_of(tensors: Tensors) -> Sizes:
    """What the shapes of a file tell."""
    condition, text_dim = tensors["ca_net.fc.weight"].shape[0] // 4, tensors["ca_net.fc.weight"].shape[1]
    z_dim = tensors["h_net1.fc.0.weight"].shape[1] - condition
    channels = tensors["img_net1.img.0.weight"].shape[1]
    return Sizes(z_dim, text_dim, condition, channels, count_stages(tensors), count_residuals(tensors))
