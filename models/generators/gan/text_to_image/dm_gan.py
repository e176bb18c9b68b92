"""DM-GAN (Zhu et al. 2019): AttnGAN's stages, with a memory that is written by words and picture, and a gate."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .attngan import Sizes, StagedNetwork
from .drawing import attend
from .stages import enlarging, residuals


def _pointwise(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv1d(inputs, outputs, 1), nn.ReLU())


class MemoryStage(nn.Module):
    """Features [N, channels, side, side] and words [N, text_dim, L] to features of twice the side, and the maps."""

    def __init__(self, size: Sizes) -> None:
        super().__init__()
        channels = size.channels
        self.A = nn.Linear(size.text_dim, 1, bias=False)
        self.B = nn.Linear(channels, 1, bias=False)
        self.M_r, self.M_w = _pointwise(channels, 2 * channels), _pointwise(size.text_dim, 2 * channels)
        self.key, self.value = _pointwise(2 * channels, channels), _pointwise(2 * channels, channels)
        self.response_gate = nn.Sequential(nn.Conv2d(2 * channels, 1, 1), nn.Sigmoid())
        self.residual = residuals(2 * channels, size.residuals)
        self.upsample = enlarging(2 * channels, channels)

    def forward(self, x: Tensor, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        picture = x.mean(dim=(2, 3))
        gate = torch.sigmoid(self.A(words.transpose(1, 2)) + self.B(picture)[:, None]).transpose(1, 2)
        memory = self.M_w(words) * gate + self.M_r(picture[..., None]) * (1 - gate)
        seen, maps = attend(x, self.key(memory), self.value(memory), mask)
        share = self.response_gate(torch.cat([x, seen], dim=1))
        mixed = x * (1 - share) + seen * share
        return self.upsample(self.residual(torch.cat([mixed, mixed], dim=1))), maps


class DMGAN(StagedNetwork):
    """The published one."""

    def next_stage(self, size: Sizes) -> nn.Module:
        return MemoryStage(size)
