"""A signal upsampled, activated and downsampled again, as StyleGAN3 does it to keep aliases out.

Separable filters go along one axis at a time, as products with a band of a matrix: a row of it holds the taps of one
phase, so that no product with an inserted zero is computed, nor one sample that is dropped afterwards. Rows are taken
a few at a time, with those columns alone in which they are not zero. The upsampled signal is there for some channels at
a time only, since it is four times and more as large as what goes in and out.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..stylegan2.layers import SLOPE, clamp

ROWS = 32
"""Samples that one product gives along an axis."""
CPU_BYTES = 4 * 2**20
GPU_BYTES = 2**27
"""Of the upsampled signal that is there at a time: what the caches of a CPU hold, and what keeps a GPU busy."""


class Resample(NamedTuple):
    """Zeros put between samples (up), then margins, a convolution with the filter, and every `down`-th sample of it.

    filter: [taps], a float tensor. before: margin at the beginning, in upsampled samples, negative to cut some off.
    count, outputs: samples that go in and come out.
    """

    filter: Tensor
    up: int
    down: int
    before: int
    count: int
    outputs: int

    def matrix(self) -> Tensor:
        """[outputs, count] that does it from the left."""
        filter = self.filter.flip(0)
        device = filter.device
        rows = torch.arange(self.outputs, device=device)[:, None] * self.down - self.before
        places = rows + torch.arange(len(filter), device=device)
        inside = (places % self.up == 0) & (places >= 0) & (places < self.count * self.up)
        columns = (places // self.up).clamp(0, self.count - 1)
        band = torch.zeros(self.outputs, self.count, dtype=filter.dtype, device=device)
        return band.scatter_add_(1, columns, filter * inside)

    def bands(self) -> list[tuple[slice, Tensor]]:
        """The matrix, some rows at a time: the samples that they need, and their weights."""
        matrix, taps = self.matrix(), len(self.filter)
        found = []
        for first in range(0, self.outputs, ROWS):
            last = min(first + ROWS, self.outputs) - 1
            low = -(-(first * self.down - self.before) // self.up)
            high = (last * self.down - self.before + taps - 1) // self.up + 1
            needed = slice(max(0, min(low, self.count - 1)), max(1, min(high, self.count)))
            found.append((needed, matrix[first : last + 1, needed]))
        return found


def bytes_at_a_time(device: torch.device) -> int:
    """Most of the upsampled signal that is there."""
    return CPU_BYTES if device.type == "cpu" else GPU_BYTES


def along_both(planes: Tensor, bands: list[tuple[slice, Tensor]], wide_first: bool) -> Tensor:
    """Planes [N, count, count] resampled along both axes, [N, outputs, outputs]."""
    for wide in (wide_first, not wide_first):
        if wide:
            planes = torch.cat([planes[:, :, needed] @ weights.T for needed, weights in bands], dim=2)
        else:
            planes = torch.cat([weights @ planes[:, needed] for needed, weights in bands], dim=1)
    return planes


def filtered_leaky_relu(
    x: Tensor, up: Resample, down: Resample | Tensor, factor: int, gain: float, most: float | None
) -> Tensor:
    """[N, C, H, H] to [N, C, R, R]: up, leaky ReLU with a gain, clamp to magnitudes of `most`, down.

    down: a round filter, [taps, taps], is a convolution of that stride, `factor`.
    """
    count, channels = x.shape[:2]
    planes = x.reshape(count * channels, *x.shape[2:])
    # A gain goes before the leaky ReLU as well as behind it; zeros inserted along two axes take up's square.
    upward = up._replace(filter=up.filter * (up.up * gain**0.5)).bands()
    downward = down.bands() if isinstance(down, Resample) else []
    at_a_time = max(1, bytes_at_a_time(x.device) // (4 * up.outputs**2))
    parts = []
    for part in planes.split(at_a_time):
        high = F.leaky_relu(along_both(part, upward, True), SLOPE, inplace=True)
        high = clamp(high, most)
        if isinstance(down, Resample):
            parts.append(along_both(high, downward, False))
        else:
            parts.append(F.conv2d(high[:, None], down.flip(0, 1)[None, None], stride=factor)[:, 0])
    return torch.cat(parts).view(count, channels, *parts[0].shape[1:])
