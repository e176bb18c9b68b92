"""What every layer of StyleGAN3 is made for: its sampling rate, its cutoff, its filters (Karras et al. 2021, app. C).

Numbers of frequency are in cycles per picture side.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..stylegan2.layers import CLAMP
from ..stylegan2.mapping import RATE


class Sizes(NamedTuple):
    """Hyper-parameters that the names and shapes of a state dict tell. c_dim: number of classes, 0 for none.

    channels: of the input and then of each layer but the last, which gives img_channels. kernel: side of the
    convolutions. radial: whether downsampling filters are round (StyleGAN3-r).
    """

    z_dim: int
    c_dim: int
    w_dim: int
    num_mapping_layers: int
    resolution: int
    img_channels: int
    channels: tuple[int, ...]
    kernel: int
    radial: bool


class Settings(NamedTuple):
    """What shapes do not tell; the defaults are those of NVIDIA's training. clamp: largest magnitude of an activation,
    None for any. rate: learning rate of the mapping relative to the rest."""

    num_critical: int = 2
    first_cutoff: float = 2.0
    first_stopband: float = 2**2.1
    last_stopband_rel: float = 2**0.3
    margin_size: int = 10
    output_scale: float = 0.25
    filter_size: int = 6
    lrelu_upsampling: int = 2
    clamp: float | None = CLAMP
    rate: float = RATE


class Band(NamedTuple):
    """The signal that a layer gives: its sampling rate, its bandwidth, half the width of its filter's transition, and
    the side of its canvas in samples, margins included."""

    rate: float
    cutoff: float
    half_width: float
    size: int


class Layer(NamedTuple):
    """up, down: factors of resampling around the leaky ReLU. before, after: margins added to the upsampled signal, in
    its samples. up_taps, down_taps: lengths of the filters, 1 for none."""

    given: Band
    made: Band
    between: float
    up: int
    down: int
    up_taps: int
    down_taps: int
    before: int
    after: int
    critical: bool


def bands(sizes: Sizes, settings: Settings) -> list[Band]:
    """Of each layer, the last one's the colours'; the input has the first one's."""
    count = len(sizes.channels) - 1
    share = np.minimum(np.arange(count + 1) / (count - settings.num_critical), 1)
    last = sizes.resolution / 2
    stop = last * settings.last_stopband_rel
    cutoffs = settings.first_cutoff * (last / settings.first_cutoff) ** share
    stopbands = settings.first_stopband * (stop / settings.first_stopband) ** share
    rates = np.exp2(np.ceil(np.log2(np.minimum(stopbands * 2, sizes.resolution))))
    widths = np.maximum(stopbands, rates / 2) - cutoffs
    canvases = rates + 2 * settings.margin_size
    canvases[-2:] = sizes.resolution
    columns = zip(rates, cutoffs, widths, canvases, strict=True)
    return [Band(float(rate), float(cutoff), float(width), int(size)) for rate, cutoff, width, size in columns]


def layers(sizes: Sizes, settings: Settings) -> list[Layer]:
    """All of them, from coarse to fine; the last one mixes the colours and filters nothing."""
    made = bands(sizes, settings)
    last = len(made) - 1
    found = []
    for index, band in enumerate(made):
        given = made[max(index - 1, 0)]
        colours = index == last
        between = max(given.rate, band.rate) * (1 if colours else settings.lrelu_upsampling)
        up, down = round(between / given.rate), round(between / band.rate)
        up_taps = settings.filter_size * up if up > 1 and not colours else 1
        down_taps = settings.filter_size * down if down > 1 and not colours else 1
        kernel = 1 if colours else sizes.kernel
        total = (band.size - 1) * down + 1 - (given.size + kernel - 1) * up + up_taps + down_taps - 2
        before = (total + up) // 2
        critical = index >= last - settings.num_critical
        found.append(Layer(given, band, between, up, down, up_taps, down_taps, before, total - before, critical))
    return found


def published(resolution: int, radial: bool = False) -> Sizes:
    """As NVIDIA trains StyleGAN3-t, or StyleGAN3-r (radial), for pictures of this side."""
    sizes = Sizes(512, 0, 512, 2, resolution, 3, (1,) * 15, 1 if radial else 3, radial)
    base, most = (2**16, 1024) if radial else (2**15, 512)
    channels = [round(min(base / 2 / band.cutoff, most)) for band in bands(sizes, Settings())]
    return sizes._replace(channels=(channels[0], *channels[:-1]))


def low_pass(taps: int, cutoff: float, width: float, rate: float, radial: bool = False) -> Tensor:
    """A low-pass filter by a Kaiser window, float32 [taps], or round, [taps, taps]; sum 1.

    width: of the transition band. rate: samples per unit of the others.
    """
    beta = _kaiser_beta(2.285 * (taps - 1) * math.pi * width / (rate / 2) + 7.95)
    window = np.kaiser(taps, beta)
    places = (np.arange(taps) - (taps - 1) / 2) / rate
    if not radial:
        filter = 2 * cutoff / rate * np.sinc(2 * cutoff * places) * window
        return torch.from_numpy(filter / filter.sum()).float()
    radii = np.hypot(*np.meshgrid(places, places))
    bessel = torch.special.bessel_j1(torch.from_numpy(2 * cutoff * math.pi * radii)).numpy()
    filter = bessel / (math.pi * radii) * np.outer(window, window)
    return torch.from_numpy(filter / filter.sum()).float()


def _kaiser_beta(attenuation: float) -> float:
    """Kaiser's empirical formula; attenuation in dB."""
    if attenuation > 50:
        return 0.1102 * (attenuation - 8.7)
    if attenuation > 21:
        return 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    return 0.0


def filters(layer: Layer, radial: bool) -> tuple[Tensor | None, Tensor | None]:
    """For going up and for going down; None where the layer does not."""
    up = down = None
    if layer.up_taps > 1:
        up = low_pass(layer.up_taps, layer.given.cutoff, 2 * layer.given.half_width, layer.between)
    if layer.down_taps > 1:
        round_one = radial and not layer.critical
        down = low_pass(layer.down_taps, layer.made.cutoff, 2 * layer.made.half_width, layer.between, round_one)
    return up, down
