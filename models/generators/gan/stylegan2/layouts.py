"""StyleGAN2 in rosinality's layout, and in TensorFlow's, as the names of NVIDIA's snapshots of PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, takewhile
from typing import Final

from torch import Tensor

from .... import weights
from ....weights import Tensors
from ..layouts import Entry, flipped, of_tensorflow
from .network import Sizes

ROSINALITY: Final = frozenset({"style.1.weight", "input.input", "conv1.conv.modulation.weight", "to_rgb1.bias"})
TENSORFLOW: Final = frozenset({"mapping.Dense0.weight", "synthesis.4x4.Const.const", "synthesis.4x4.Conv.mod_weight"})
"""Slashes are written as dots."""
AVERAGE: Final = "latent_avg"
"""The mean of w, beside the network in files that rosinality's converter writes."""


def rosinality_sizes(tensors: Tensors) -> Sizes:
    """Hyper-parameters of a state dict that has the names of ROSINALITY.

    Raises:
        KeyError: a tensor that tells them is missing.
    """
    levels = weights.count_layers(tensors, "to_rgbs.{}.bias")
    layers = takewhile(lambda index: f"style.{index}.weight" in tensors, count(1))
    w_dim, z_dim = tensors["style.1.weight"].shape
    channels = [
        tensors["conv1.conv.weight"].shape[1],
        *(tensors[f"convs.{2 * level + 1}.conv.weight"].shape[1] for level in range(levels)),
    ]
    return Sizes(z_dim, 0, w_dim, sum(1 for _ in layers), tuple(channels), tensors["to_rgb1.bias"].shape[1])


def _quarter(kernel: Tensor) -> Tensor:
    """Rosinality keeps filters with the gain that upsampling needs."""
    return kernel / 4


def rosinality(sizes: Sizes) -> Iterator[Entry]:
    """Every tensor but latent_avg; the numbers are NVIDIA's."""
    for index in range(sizes.num_layers):
        inputs = sizes.w_dim if index else sizes.z_dim
        yield Entry(f"style.{index + 1}.weight", (sizes.w_dim, inputs), f"mapping.fc{index}.weight")
        yield Entry(f"style.{index + 1}.bias", (sizes.w_dim,), f"mapping.fc{index}.bias")
    yield Entry("input.input", (1, sizes.channels[0], 4, 4), "synthesis.b4.const")
    for level, (before, outputs) in enumerate(zip((0, *sizes.channels), sizes.channels, strict=False)):
        block = f"synthesis.b{4 << level}"
        names = (f"convs.{2 * level - 2}", f"convs.{2 * level - 1}") if level else ("", "conv1")
        if level:
            yield from _rosinality_convolution(names[0], f"{block}.conv0", before, outputs, sizes.w_dim)
            yield Entry(f"{names[0]}.conv.blur.kernel", (4, 4), f"{block}.conv0.resample_filter", _quarter)
        yield from _rosinality_convolution(names[1], f"{block}.conv1", outputs, outputs, sizes.w_dim)
        for number, layer in enumerate(("conv0", "conv1") if level else ("conv1",)):
            side = 4 << level
            noise = f"noises.noise_{2 * level - 1 + number if level else 0}"
            yield Entry(noise, (1, 1, side, side), f"{block}.{layer}.noise_const")
        colours = f"to_rgbs.{level - 1}" if level else "to_rgb1"
        if level:
            yield Entry(f"{colours}.upsample.kernel", (4, 4), f"{block}.resample_filter", _quarter)
        yield from _modulated(f"{colours}.conv", f"{block}.torgb", outputs, sizes.img_channels, 1, sizes.w_dim)
        yield Entry(f"{colours}.bias", (1, sizes.img_channels, 1, 1), f"{block}.torgb.bias")


def _rosinality_convolution(name: str, into: str, inputs: int, outputs: int, w_dim: int) -> Iterator[Entry]:
    yield from _modulated(f"{name}.conv", into, inputs, outputs, 3, w_dim)
    yield Entry(f"{name}.noise.weight", (1,), f"{into}.noise_strength")
    yield Entry(f"{name}.activate.bias", (outputs,), f"{into}.bias")


def _modulated(name: str, into: str, inputs: int, outputs: int, kernel: int, w_dim: int) -> Iterator[Entry]:
    yield Entry(f"{name}.weight", (1, outputs, inputs, kernel, kernel), f"{into}.weight")
    yield Entry(f"{name}.modulation.weight", (inputs, w_dim), f"{into}.affine.weight")
    yield Entry(f"{name}.modulation.bias", (inputs,), f"{into}.affine.bias")


def tensorflow_sizes(tensors: Tensors) -> Sizes:
    """Hyper-parameters of a network that has the names of TENSORFLOW.

    Raises:
        KeyError: a tensor that tells them is missing.
    """
    sides = takewhile(lambda side: f"synthesis.{side}x{side}.Conv1.weight" in tensors, (8 << step for step in count()))
    inputs, w_dim = tensors["mapping.Dense0.weight"].shape
    embed = tensors.get("mapping.LabelEmbed.weight")
    channels = [
        tensors["synthesis.4x4.Conv.weight"].shape[3],
        *(tensors[f"synthesis.{side}x{side}.Conv1.weight"].shape[3] for side in sides),
    ]
    return Sizes(
        z_dim=inputs - (0 if embed is None else w_dim),
        c_dim=0 if embed is None else embed.shape[0],
        w_dim=w_dim,
        num_layers=weights.count_layers(tensors, "mapping.Dense{}.weight"),
        channels=tuple(channels),
        img_channels=tensors["synthesis.4x4.ToRGB.weight"].shape[3],
    )


def _upward(weight: Tensor) -> Tensor:
    """TensorFlow's transposed convolution takes the kernel turned."""
    return flipped(of_tensorflow(weight))


def _one_more(bias: Tensor) -> Tensor:
    """TensorFlow keeps the bias of a style without the 1 that styles lie around."""
    return bias + 1


def tensorflow(sizes: Sizes) -> Iterator[Entry]:
    """Every tensor."""
    for index in range(sizes.num_layers):
        inputs = sizes.w_dim if index else sizes.z_dim + (sizes.w_dim if sizes.c_dim else 0)
        name, into = f"mapping.Dense{index}", f"mapping.fc{index}"
        yield Entry(f"{name}.weight", (inputs, sizes.w_dim), f"{into}.weight", of_tensorflow)
        yield Entry(f"{name}.bias", (sizes.w_dim,), f"{into}.bias")
    if sizes.c_dim:
        shape = (sizes.c_dim, sizes.w_dim)
        yield Entry("mapping.LabelEmbed.weight", shape, "mapping.embed.weight", of_tensorflow)
        yield Entry("mapping.LabelEmbed.bias", shape[1:], "mapping.embed.bias")
    yield Entry("dlatent_avg", (sizes.w_dim,), "mapping.w_avg")
    yield Entry("synthesis.4x4.Const.const", (1, sizes.channels[0], 4, 4), "synthesis.b4.const")
    for level, (before, outputs) in enumerate(zip((0, *sizes.channels), sizes.channels, strict=False)):
        side = 4 << level
        theirs, block = f"synthesis.{side}x{side}", f"synthesis.b{side}"
        first = [("Conv0_up", "conv0", before, _upward)] if level else []
        last = "Conv1" if level else "Conv"
        for number, (name, layer, inputs, how) in enumerate([*first, (last, "conv1", outputs, of_tensorflow)]):
            there, here = f"{theirs}.{name}", f"{block}.{layer}"
            yield Entry(f"{there}.weight", (3, 3, inputs, outputs), f"{here}.weight", how)
            yield from _tensorflow_rest(there, here, inputs, outputs, sizes.w_dim)
            yield Entry(f"{there}.noise_strength", (), f"{here}.noise_strength")
            noise = f"synthesis.noise{2 * level - 1 + number if level else 0}"
            yield Entry(noise, (1, 1, side, side), f"{here}.noise_const")
        there, here = f"{theirs}.ToRGB", f"{block}.torgb"
        yield Entry(f"{there}.weight", (1, 1, outputs, sizes.img_channels), f"{here}.weight", of_tensorflow)
        yield from _tensorflow_rest(there, here, outputs, sizes.img_channels, sizes.w_dim)


def _tensorflow_rest(there: str, here: str, inputs: int, outputs: int, w_dim: int) -> Iterator[Entry]:
    yield Entry(f"{there}.bias", (outputs,), f"{here}.bias")
    yield Entry(f"{there}.mod_weight", (w_dim, inputs), f"{here}.affine.weight", of_tensorflow)
    yield Entry(f"{there}.mod_bias", (inputs,), f"{here}.affine.bias", _one_more)
