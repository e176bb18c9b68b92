"""SSA-GAN (Liao et al. 2022): DF-GAN's blocks, each with a map of where the sentence counts, which it learned alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....weights import Tensors, count_layers
from .df_gan import FIRST, SLOPE, Modulation
from .drawing import Drawn, TextNetwork


class Sizes(NamedTuple):
    """hidden: of the layers that turn a sentence into scales. mask: channels of the layers that make a map. channels:
    of the first block's input and of each block's output."""

    z_dim: int
    text_dim: int
    hidden: int
    mask: int
    channels: tuple[int, ...]


class MaskedAffine(nn.Module):
    """Normalises features, and scales and shifts them by a sentence where the map says."""

    def __init__(self, size: Sizes, channels: int) -> None:
        super().__init__()
        self.batch_norm2d = nn.BatchNorm2d(channels, affine=False)
        self.fc_gamma, self.fc_beta = (Modulation(size.text_dim, size.hidden, channels) for _ in range(2))

    def forward(self, x: Tensor, sentence: Tensor, mask: Tensor) -> Tensor:
        scale, shift = self.fc_gamma(sentence) * mask + 1, self.fc_beta(sentence) * mask
        return torch.addcmul(shift, self.batch_norm2d(x), scale)


def _masking(channels: int, hidden: int) -> nn.Sequential:
    """Features to the logits of a map."""
    return nn.Sequential(
        nn.Conv2d(channels, hidden, 3, padding=1), nn.BatchNorm2d(hidden), nn.ReLU(), nn.Conv2d(hidden, 1, 1)
    )


class Block(nn.Module):
    """Two convolutions, each behind an affine, added to what was there; and the logits of the next map."""

    def __init__(self, size: Sizes, inputs: int, outputs: int, last: bool) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))
        self.c1, self.c2 = nn.Conv2d(inputs, outputs, 3, padding=1), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.affine0, self.affine2 = MaskedAffine(size, inputs), MaskedAffine(size, outputs)
        self.c_sc = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        if not last:
            self.conv_mask = _masking(outputs, size.mask)

    def forward(self, x: Tensor, sentence: Tensor, mask: Tensor) -> Tensor:
        y = self.c1(F.relu_(self.affine0(x, sentence, mask)))
        y = self.c2(F.relu_(self.affine2(y, sentence, mask)))
        return self.c_sc(x) + self.gamma * y


class SSAGAN(TextNetwork):
    """The published one. The first block is of 4 pixels; each further one of twice the side."""

    def __init__(self, size: Sizes) -> None:
        super().__init__()
        self.z_dim, self.text_dim, self.noise_dim, self.attends = size.z_dim, size.text_dim, 0, 0
        channels = size.channels
        self.blocks = len(channels) - 1
        self.fc = nn.Linear(size.z_dim, channels[0] * FIRST**2)
        self.conv_mask = _masking(channels[0], size.mask)
        for number in range(self.blocks):
            last = number == self.blocks - 1
            self.add_module(f"block{number}", Block(size, channels[number], channels[number + 1], last))
        self.conv_img = nn.Sequential(
            nn.BatchNorm2d(channels[-1]), nn.LeakyReLU(SLOPE), nn.Conv2d(channels[-1], 3, 3, padding=1), nn.Tanh()
        )
        self.sides = (FIRST << self.blocks - 1,)
        # Of the last block: its input, that normalised, and scales and shifts of each place.
        self.floats = 5 * channels[-2] * self.sides[0] ** 2

    def z_weights(self) -> Tensor:
        return self.fc.weight

    def forward(self, z: Tensor, sentence: Tensor, noise: Tensor, words: Tensor, masks: Sequence[Tensor]) -> Drawn:
        x = self.fc(z).unflatten(1, (-1, FIRST, FIRST))
        logits, maps = self.conv_mask(x), []
        for number in range(self.blocks):
            block = self.get_submodule(f"block{number}")
            if number:
                x = F.interpolate(x, scale_factor=2)
                logits = F.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=True)
            maps.append(torch.sigmoid(logits))
            x = block(x, sentence, maps[-1])
            if number < self.blocks - 1:
                logits = block.get_submodule("conv_mask")(x)
        return Drawn((self.conv_img(x),), tuple(maps))


def sizes_of(tensors: Tensors) -> Sizes:
    """What the shapes of a file tell."""
    values, z_dim = tensors["fc.weight"].shape
    hidden, text_dim = tensors["block0.affine0.fc_gamma.linear1.weight"].shape
    blocks = count_layers(tensors, "block{}.c1.weight")
    outputs = (tensors[f"block{number}.c1.weight"].shape[0] for number in range(blocks))
    mask = tensors["conv_mask.0.weight"].shape[0]
    return Sizes(z_dim, text_dim, hidden, mask, (values // FIRST**2, *outputs))
