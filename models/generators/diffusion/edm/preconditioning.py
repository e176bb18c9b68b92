"""How a network's inputs and outputs are scaled at each level of noise (table 1 of Karras et al., 2022, arXiv
2206.00364), by the names of the authors' classes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor

DATA: Final = 0.5
"""Standard deviation of the pictures, as EDM was trained."""
STEPS: Final = 1000
"""Of DDPM's training, which VP and iDDPM count times in."""


class Preconditioning(ABC):
    """lowest, highest: levels of noise that the network knows."""

    lowest: float
    highest: float

    @abstractmethod
    def scales(self, sigma: float) -> tuple[float, float, float, float]:
        """Factors of the noisy picture beside the network, of its output and of its input, and what tells it the level
        of noise."""

    def rounded(self, sigma: float) -> float:
        """The nearest level that the network was trained at."""
        return sigma


class Edm(Preconditioning):
    def __init__(self, data: float = DATA, lowest: float = 0.0, highest: float = math.inf) -> None:
        self.data, self.lowest, self.highest = data, lowest, highest

    def scales(self, sigma: float) -> tuple[float, float, float, float]:
        both = sigma**2 + self.data**2
        return self.data**2 / both, sigma * self.data / both**0.5, both**-0.5, math.log(sigma) / 4


class VariancePreserving(Preconditioning):
    def __init__(self, slope: float, first: float, least: float, steps: int = STEPS) -> None:
        self.slope, self.first, self.steps = slope, first, steps
        self.lowest, self.highest = self._level(least), self._level(1.0)

    def _level(self, time: float) -> float:
        return math.expm1(0.5 * self.slope * time**2 + self.first * time) ** 0.5

    def scales(self, sigma: float) -> tuple[float, float, float, float]:
        root = (self.first**2 + 2 * self.slope * math.log1p(sigma**2)) ** 0.5
        time = (root - self.first) / self.slope
        return 1.0, -sigma, (sigma**2 + 1) ** -0.5, (self.steps - 1) * time


class VarianceExploding(Preconditioning):
    def __init__(self, lowest: float, highest: float) -> None:
        self.lowest, self.highest = lowest, highest

    def scales(self, sigma: float) -> tuple[float, float, float, float]:
        return 1.0, sigma, 1.0, math.log(0.5 * sigma)


class ImprovedDdpm(Preconditioning):
    """levels: of its time steps, float32 [steps + 1], falling."""

    def __init__(self, levels: Tensor) -> None:
        self.levels = levels.float().cpu()
        self.lowest, self.highest = float(self.levels[-2]), float(self.levels[0])

    def scales(self, sigma: float) -> tuple[float, float, float, float]:
        return 1.0, -sigma, (sigma**2 + 1) ** -0.5, len(self.levels) - 2.0 - self._nearest(sigma)

    def rounded(self, sigma: float) -> float:
        return float(self.levels[self._nearest(sigma)])

    def _nearest(self, sigma: float) -> int:
        return int((self.levels - torch.tensor(sigma, dtype=torch.float32)).abs().argmin())


def told(values: Mapping[str, Any], levels: Tensor | None) -> Preconditioning:
    """By what a snapshot says of itself; where it says nothing, EDM's own. levels: that its file holds.

    Raises:
        KeyError, TypeError, ValueError: its values are of no such network.
    """
    if levels is not None:
        return ImprovedDdpm(levels)
    if "beta_d" in values:
        return VariancePreserving(values["beta_d"], values["beta_min"], values["epsilon_t"], values["M"])
    if "sigma_data" in values or "sigma_min" not in values:
        lowest, highest = values.get("sigma_min", 0.0), values.get("sigma_max", math.inf)
        return Edm(values.get("sigma_data", DATA), lowest, highest)
    return VarianceExploding(values["sigma_min"], values["sigma_max"])
