"""The whole network, in torch's own operations only: no compiler is needed, and the CPU will do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .layers import CLAMP
from .mapping import RATE, Mapping
from .synthesis import Synthesis


class Sizes(NamedTuple):
    """Hyper-parameters; all can be read from the shapes of a state dict. c_dim: number of classes, 0 for none."""

    z_dim: int
    c_dim: int
    w_dim: int
    num_layers: int
    channels: tuple[int, ...]
    img_channels: int

    @property
    def resolution(self) -> int:
        return 4 << (len(self.channels) - 1)


class Settings(NamedTuple):
    """What shapes do not tell. clamp: largest magnitude of an activation, None for any. rate: learning rate of the
    mapping relative to the rest. The defaults are those of NVIDIA's training."""

    clamp: float | None = CLAMP
    rate: float = RATE


class StyleGAN2(nn.Module):
    """Tensors are named as in the snapshots of NVIDIA's StyleGAN2-ADA."""

    def __init__(self, sizes: Sizes, settings: Settings | None = None) -> None:
        super().__init__()
        clamp, rate = settings or Settings()
        self.sizes = sizes
        self.synthesis = Synthesis(sizes.w_dim, sizes.channels, sizes.img_channels, clamp)
        self.mapping = Mapping(sizes.z_dim, sizes.c_dim, sizes.w_dim, sizes.num_layers, rate)

    @property
    def num_ws(self) -> int:
        return self.synthesis.num_ws

    @property
    def noise_sides(self) -> list[int]:
        """Side of the noise of each layer that takes some, pixels."""
        return [len(convolution.noise_const) for convolution in self.synthesis.convolutions]

    def const_noise(self) -> list[Tensor]:
        """The noise that the file comes with, [1, 1, side, side] per layer."""
        return [convolution.noise_const[None, None] for convolution in self.synthesis.convolutions]

    def no_noise(self) -> list[None]:
        return [None] * len(self.synthesis.convolutions)

    def truncate(self, ws: Tensor, psi: float, cutoff: int = 0) -> Tensor:
        """ws [N, num_ws, w_dim] with the first `cutoff` layers (0: all) pulled to the mean: psi 1 leaves them."""
        layers = cutoff or self.num_ws
        return torch.cat([torch.lerp(self.mapping.w_avg, ws[:, :layers], psi), ws[:, layers:]], dim=1)

    def styles(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """ws [N, num_ws, w_dim], the same w for every layer. z: [N, z_dim]; labels: int64 [N]."""
        return self.mapping(z, labels)[:, None].repeat(1, self.num_ws, 1)

    def forward(self, ws: Tensor, noise: Sequence[Tensor | None]) -> Tensor:
        return self.synthesis(ws, noise)
