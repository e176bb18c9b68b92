"""The mapping network: Gaussian z and a class to the intermediate latent w (Karras et al. 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .layers import Linear, activate

RATE = 0.01
"""Learning rate of the mapping relative to the rest, as NVIDIA trains it. Cannot be detected."""


class Mapping(nn.Module):
    """z [N, z_dim], and the class as int64 [N] where there are any, to w [N, w_dim]. Layers: `fc0`, `fc1`, ..."""

    w_avg: Tensor

    def __init__(self, z_dim: int, c_dim: int, w_dim: int, num_layers: int, rate: float = RATE) -> None:
        super().__init__()
        self.num_layers = num_layers
        self.embed = Linear(c_dim, w_dim) if c_dim else None
        inputs = z_dim + (w_dim if c_dim else 0)
        for index in range(num_layers):
            self.add_module(f"fc{index}", Linear(w_dim if index else inputs, w_dim, rate))
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        x = normalize(z)
        if self.embed is not None:
            assert labels is not None  # whoever draws gives them, where the network has classes
            chosen = nn.functional.one_hot(labels, self.embed.weight.shape[1]).to(x)
            x = torch.cat([x, normalize(self.embed(chosen))], dim=1)
        for index in range(self.num_layers):
            x = activate(self.get_submodule(f"fc{index}")(x))
        return x


def normalize(x: Tensor) -> Tensor:
    """[N, C] scaled to a mean square of 1 over the channels."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
