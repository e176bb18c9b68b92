"""The whole network, in torch's own operations only: no compiler is needed, and the CPU will do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from ..style_generator import StyleNetwork
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


class StyleGAN2(StyleNetwork):
    """Tensors are named as in the snapshots of NVIDIA's StyleGAN2-ADA."""

    def __init__(self, sizes: Sizes, settings: Settings | None = None) -> None:
        super().__init__()
        clamp, rate = settings or Settings()
        self.sizes = sizes
        self.z_dim, self.c_dim, self.w_dim = sizes.z_dim, sizes.c_dim, sizes.w_dim
        self.resolution, self.img_channels = sizes.resolution, sizes.img_channels
        self.synthesis = Synthesis(sizes.w_dim, sizes.channels, sizes.img_channels, clamp)
        self.num_ws = self.synthesis.num_ws
        self.mapping = Mapping(sizes.z_dim, sizes.c_dim, sizes.w_dim, sizes.num_layers, rate)

    def style_weights(self) -> list[Tensor]:
        """Of each convolution and of the last colours; those of other colours share a convolution's w, and are left out
        as in the published code of SeFa."""
        layers = [*self.synthesis.convolutions, self.synthesis.blocks[-1].torgb]
        return [layer.affine.weight for layer in layers]

    @property
    def noise_sides(self) -> list[int]:
        """Side of the noise of each layer that takes some, pixels."""
        return [len(convolution.noise_const) for convolution in self.synthesis.convolutions]

    def const_noise(self) -> list[Tensor]:
        """The noise that the file comes with, [1, 1, side, side] per layer."""
        return [convolution.noise_const[None, None] for convolution in self.synthesis.convolutions]

    def no_noise(self) -> list[None]:
        return [None] * len(self.synthesis.convolutions)

    def forward(self, ws: Tensor, noise: Sequence[Tensor | None]) -> Tensor:
        return self.synthesis(ws, noise)
