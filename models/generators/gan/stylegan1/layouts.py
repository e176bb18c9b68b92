"""The published layouts of StyleGAN: rosinality's, genforce's, lernapparat's, and TensorFlow's own.

Of all of them the weights have unit variance and are scaled at run time; here that is done as they are read. The
mapping keeps its scale, which `Mapping` applies; as that puts the gain of the leaky ReLU behind the bias, the bias is
divided by it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .... import weights
from ....errors import BadCheckpoint
from ....weights import Tensors
from ..layouts import Entry, mean_w, of_tensorflow
from ..stylegan2.layers import GAIN
from .network import FIRST, FUSED, Settings, Sizes, StyleGAN1

TENSORFLOW: Final = "synthesis.4x4.Const.StyleMod.weight"
"""A name that only a file of TensorFlow has; slashes are written as dots."""


FIRST_BIAS: Final = "synthesis.layers.0.bias"


class Layout(NamedTuple):
    """sign: names that tell it. entries: of a network of these sizes."""

    name: str
    sign: frozenset[str]
    sizes: Callable[[Tensors], Sizes]
    settings: Callable[[Tensors, Sizes], Settings]
    entries: Callable[[Sizes], Iterator[Entry]]


def _scaled(factor: float) -> Callable[[Tensor], Tensor]:
    return lambda value: value * factor


def _fused(factor: float, transposed: bool) -> Callable[[Tensor], Tensor]:
    """A 3 x 3 kernel and its shifts by a pixel as one of 4 x 4, [inputs, outputs, 4, 4]."""

    def fuse(weight: Tensor) -> Tensor:
        padded = F.pad(weight.transpose(0, 1) if transposed else weight, (1, 1, 1, 1)) * factor
        rows = padded[:, :, 1:] + padded[:, :, :-1]
        return rows[..., 1:] + rows[..., :-1]

    return fuse


def _one_kernel(kernel: Tensor) -> Tensor:
    """The blur, [channels, 1, 3, 3], whose channels are alike."""
    if not torch.equal(kernel, kernel[:1].expand_as(kernel)):
        raise BadCheckpoint("its blur differs from channel to channel, as no StyleGAN's does; choose another file.")
    return kernel[0]


def _around_one(channels: int, factor: float) -> Callable[[Tensor], Tensor]:
    """A style's bias whose scales are kept without the 1 that they lie around."""
    return lambda bias: bias * factor + torch.cat([torch.ones(channels), torch.zeros(channels)])


def _mapping(sizes: Sizes, weight: str, bias: str) -> Iterator[Entry]:
    for index in range(sizes.num_layers):
        inputs = sizes.w_dim if index else sizes.z_dim
        yield Entry(weight.format(index), (sizes.w_dim, inputs), f"mapping.fc{index}.weight")
        yield Entry(bias.format(index), (sizes.w_dim,), f"mapping.fc{index}.bias", _scaled(1 / GAIN))


def _rosinality(sizes: Sizes) -> Iterator[Entry]:
    """Everything, styles, colours and noise too, is scaled by sqrt(2 / inputs)."""
    for entry in _mapping(sizes, "style.{}.linear.weight_orig", "style.{}.linear.bias"):
        kind, index, *rest = entry.name.split(".")
        yield entry._replace(name=".".join([kind, str(2 * int(index) + 1), *rest]))
    style = math.sqrt(2 / sizes.w_dim)
    for level, (inputs, outputs) in enumerate(zip((0, *sizes.channels), sizes.channels, strict=False)):
        block, first, second = f"generator.progression.{level}", *_layers(level)
        if not level:
            yield Entry(f"{block}.conv1.input", (1, outputs, FIRST, FIRST), f"{first}.const")
        elif FIRST << level >= FUSED:
            how = _fused(math.sqrt(2 / (9 * inputs)) / 4, False)
            yield Entry(f"{block}.conv1.0.weight", (inputs, outputs, 3, 3), f"{first}.weight", how)
            yield Entry(f"{block}.conv1.0.bias", (outputs,), f"{first}.bias")
        else:
            how = _scaled(math.sqrt(2 / (9 * inputs)))
            yield Entry(f"{block}.conv1.1.conv.weight_orig", (outputs, inputs, 3, 3), f"{first}.weight", how)
            yield Entry(f"{block}.conv1.1.conv.bias", (outputs,), f"{first}.bias")
        if level:
            blur = f"{block}.conv1.{1 if FIRST << level >= FUSED else 2}"
            yield Entry(f"{blur}.weight", (outputs, 1, 3, 3), f"{first}.blur", _one_kernel)
            # Of the derivative; as the kernel is symmetric, the same.
            yield Entry(f"{blur}.weight_flip", (outputs, 1, 3, 3), f"{first}.blur", _one_kernel)
        how = _scaled(math.sqrt(2 / (9 * outputs)))
        yield Entry(f"{block}.conv2.conv.weight_orig", (outputs, outputs, 3, 3), f"{second}.weight", how)
        yield Entry(f"{block}.conv2.conv.bias", (outputs,), f"{second}.bias")
        for number, layer in ((1, first), (2, second)):
            noise = _scaled(math.sqrt(2 / outputs))
            yield Entry(f"{block}.noise{number}.weight_orig", (1, outputs, 1, 1), f"{layer}.noise_strength", noise)
            linear = f"{block}.adain{number}.style.linear"
            yield Entry(f"{linear}.weight_orig", (2 * outputs, sizes.w_dim), f"{layer}.style.weight", _scaled(style))
            yield Entry(f"{linear}.bias", (2 * outputs,), f"{layer}.style.bias")
        shape, colours = (sizes.img_channels, outputs, 1, 1), f"generator.to_rgb.{level}.conv"
        how = _scaled(math.sqrt(2 / outputs))
        yield Entry(f"{colours}.weight_orig", shape, f"synthesis.colours.{level}.weight", how)
        yield Entry(f"{colours}.bias", shape[:1], f"synthesis.colours.{level}.bias")


def _layers(level: int) -> tuple[str, str]:
    return f"synthesis.layers.{2 * level}", f"synthesis.layers.{2 * level + 1}"


def _of_official(sizes: Sizes, name: Callable[[int, str], str]) -> Iterator[Entry]:
    """The layers as the official code scales them. name: of a layer's tensor in the file, by number and kind."""
    style = 1 / math.sqrt(sizes.w_dim)
    for level, (before, outputs) in enumerate(zip((0, *sizes.channels), sizes.channels, strict=False)):
        for index, inputs in ((2 * level, before), (2 * level + 1, outputs)):
            layer, up = f"synthesis.layers.{index}", level > 0 and index % 2 == 0
            if not inputs:
                yield Entry(name(index, "const"), (1, outputs, FIRST, FIRST), f"{layer}.const")
            else:
                factor = GAIN / math.sqrt(9 * inputs)
                how = _fused(factor, True) if up and FIRST << level >= FUSED else _scaled(factor)
                yield Entry(name(index, "weight"), (outputs, inputs, 3, 3), f"{layer}.weight", how)
            yield Entry(name(index, "bias"), (outputs,), f"{layer}.bias")
            yield Entry(name(index, "noise.weight"), (outputs,), f"{layer}.noise_strength")
            shape = (2 * outputs, sizes.w_dim)
            yield Entry(name(index, "style.weight"), shape, f"{layer}.style.weight", _scaled(style))
            yield Entry(name(index, "style.bias"), shape[:1], f"{layer}.style.bias", _around_one(outputs, 1.0))


def _genforce(sizes: Sizes) -> Iterator[Entry]:
    def name(index: int, kind: str) -> str:
        return f"synthesis.layer{index}.{kind.replace('noise.', 'apply_noise.')}"

    yield from _mapping(sizes, "mapping.dense{}.weight", "mapping.dense{}.bias")
    yield Entry("truncation.w_avg", (sizes.w_dim,), "mapping.w_avg")
    yield from _of_official(sizes, name)
    for level, outputs in enumerate(sizes.channels):
        for index, layer in zip((2 * level, 2 * level + 1), _layers(level), strict=True):
            shape = (1, 1, FIRST << level, FIRST << level)
            yield Entry(name(index, "noise.noise"), shape, f"{layer}.noise_const")
        if level:
            yield Entry(name(2 * level, "blur.kernel"), (outputs, 1, 3, 3), f"{_layers(level)[0]}.blur", _one_kernel)
        yield from _colours(sizes, level, f"synthesis.output{level}")


def _colours(sizes: Sizes, level: int, name: str) -> Iterator[Entry]:
    outputs = sizes.channels[level]
    shape, how = (sizes.img_channels, outputs, 1, 1), _scaled(1 / math.sqrt(outputs))
    yield Entry(f"{name}.weight", shape, f"synthesis.colours.{level}.weight", how)
    yield Entry(f"{name}.bias", shape[:1], f"synthesis.colours.{level}.bias")


def _lernapparat(sizes: Sizes) -> Iterator[Entry]:
    def name(index: int, kind: str) -> str:
        side = FIRST << (index // 2)
        block = f"g_synthesis.blocks.{side}x{side}"
        if kind.startswith("noise"):
            return f"{block}.epi{index % 2 + 1}.top_epi.{kind}"
        if kind.startswith("style"):
            return f"{block}.epi{index % 2 + 1}.style_mod.lin.{kind.partition('.')[2]}"
        if not index:
            return f"{block}.{kind}"
        convolution = "conv" if index == 1 else ("conv0_up", "conv1")[index % 2]
        return f"{block}.{convolution}.{kind}"

    yield from _mapping(sizes, "g_mapping.dense{}.weight", "g_mapping.dense{}.bias")
    yield from _of_official(sizes, name)
    for level in range(1, len(sizes.channels)):
        kernel = name(2 * level, "intermediate.kernel")
        yield Entry(kernel, (1, 1, 3, 3), f"{_layers(level)[0]}.blur", _one_kernel)
    yield from _colours(sizes, len(sizes.channels) - 1, "g_synthesis.torgb")


def _count(tensors: Tensors, pattern: str) -> int:
    return weights.count_layers(tensors, pattern)


def _sides(tensors: Tensors, pattern: str) -> list[int]:
    """Levels, from 8 pixels up, whose first layer is there."""
    found = []
    while pattern.format(FIRST << (len(found) + 1)) in tensors:
        found.append(FIRST << (len(found) + 1))
    return found


def _sizes_of(first: Tensor, last: Tensor, num_layers: int, channels: Sequence[int], coloured: Sequence[int]) -> Sizes:
    """first: a mapping's first weight. last: that of colours."""
    return Sizes(first.shape[1], first.shape[0], num_layers, tuple(channels), last.shape[0], tuple(coloured))


def _rosinality_sizes(tensors: Tensors) -> Sizes:
    levels = _count(tensors, "generator.to_rgb.{}.conv.weight_orig")
    colours = [tensors[f"generator.to_rgb.{level}.conv.weight_orig"] for level in range(levels)]
    num_layers = sum(name.startswith("style.") and name.endswith("weight_orig") for name in tensors)
    first = tensors["style.1.linear.weight_orig"]
    return _sizes_of(first, colours[0], num_layers, [each.shape[1] for each in colours], range(levels))


def _rosinality_settings(tensors: Tensors, sizes: Sizes) -> Settings:
    """A training that grows a network leaves the levels that it did not reach as they were made: no bias, no noise."""
    trained = [
        level + 1
        for level in range(len(sizes.channels))
        if any(
            tensors[name].count_nonzero()
            for name in tensors
            if name == f"generator.to_rgb.{level}.conv.bias"
            or (name.startswith(f"generator.progression.{level}.noise") and name.endswith("weight_orig"))
        )
    ]
    return Settings(1.0, 1e-5, True, True, max(trained, default=0))


def _genforce_sizes(tensors: Tensors) -> Sizes:
    levels = _count(tensors, "synthesis.output{}.weight")
    colours = [tensors[f"synthesis.output{level}.weight"] for level in range(levels)]
    channels = [each.shape[1] for each in colours]
    num_layers = _count(tensors, "mapping.dense{}.weight")
    return _sizes_of(tensors["mapping.dense0.weight"], colours[0], num_layers, channels, range(levels))


def _genforce_settings(tensors: Tensors, sizes: Sizes) -> Settings:
    lod = tensors.get("synthesis.lod")
    found = 0.0 if lod is None else float(lod)
    if not 0 <= found <= len(sizes.channels) - 1:
        raise BadCheckpoint(f"its lod is {found:g}, outside 0 to {len(sizes.channels) - 1}; choose another file.")
    return Settings(lod=found)


def _lernapparat_sizes(tensors: Tensors) -> Sizes:
    sides = _sides(tensors, "g_synthesis.blocks.{0}x{0}.conv1.weight")
    channels = [
        len(tensors["g_synthesis.blocks.4x4.conv.weight"]),
        *(len(tensors[f"g_synthesis.blocks.{side}x{side}.conv1.weight"]) for side in sides),
    ]
    first, last = tensors["g_mapping.dense0.weight"], tensors["g_synthesis.torgb.weight"]
    return _sizes_of(first, last, _count(tensors, "g_mapping.dense{}.weight"), channels, [len(sides)])


LAYOUTS: Final = (
    Layout(
        "rosinality",
        frozenset({"generator.progression.0.conv1.input", "style.1.linear.weight_orig"}),
        _rosinality_sizes,
        _rosinality_settings,
        _rosinality,
    ),
    Layout(
        "genforce",
        frozenset({"mapping.dense0.weight", "synthesis.layer0.const", "synthesis.output0.weight"}),
        _genforce_sizes,
        _genforce_settings,
        _genforce,
    ),
    Layout(
        "lernapparat",
        frozenset({"g_mapping.dense0.weight", "g_synthesis.blocks.4x4.const", "g_synthesis.torgb.weight"}),
        _lernapparat_sizes,
        lambda tensors, sizes: Settings(epsilon=1e-5),
        _lernapparat,
    ),
)


def layout_of(tensors: Tensors) -> Layout | None:
    """The layout of a state dict, None where it is of none."""
    return next((layout for layout in LAYOUTS if layout.sign <= tensors.keys()), None)


def from_tensorflow(tensors: Tensors) -> Tensors:
    """Tensors of TensorFlow's network in genforce's layout; names that it does not have stay as they are."""
    levels = 1 + len(_sides(tensors, "synthesis.{0}x{0}.Conv1.weight"))
    names = {"dlatent_avg": "truncation.w_avg", "synthesis.lod": "synthesis.lod", "lod": "synthesis.lod"}
    for index in range(_count(tensors, "mapping.Dense{}.weight")):
        for part in ("weight", "bias"):
            names[f"mapping.Dense{index}.{part}"] = f"mapping.dense{index}.{part}"
    for index in range(2 * levels):
        side = FIRST << (index // 2)
        kind = ("Const", "Conv")[index] if index < 2 else ("Conv0_up", "Conv1")[index % 2]
        theirs, ours = f"synthesis.{side}x{side}.{kind}", f"synthesis.layer{index}"
        parts = {"StyleMod.weight": "style.weight", "StyleMod.bias": "style.bias", "Noise.weight": "apply_noise.weight"}
        parts |= {part: part for part in ("const", "weight", "bias")}
        names |= {f"{theirs}.{their}": f"{ours}.{our}" for their, our in parts.items()}
        names[f"synthesis.noise{index}"] = f"{ours}.apply_noise.noise"
    for level in range(levels):
        for part in ("weight", "bias"):
            names[f"synthesis.ToRGB_lod{levels - 1 - level}.{part}"] = f"synthesis.output{level}.{part}"
    turned = ("weight",)
    found = {
        names.get(name, name): of_tensorflow(value) if name.endswith(turned) and value.ndim in (2, 4) else value
        for name, value in tensors.items()
    }
    taps = torch.tensor([0.25, 0.5, 0.25])
    for level in range(1, levels):
        bias = found.get(f"synthesis.layer{2 * level}.bias")
        if bias is not None:
            found[f"synthesis.layer{2 * level}.blur.kernel"] = taps.outer(taps).expand(len(bias), 1, -1, -1)
    return found


def complete(network: StyleGAN1, tensors: dict[str, Tensor]) -> None:
    """What a layout does not hold: noise, the same at every load; the mean of w, which the filled network tells; and in
    rosinality's a bias of the constant."""
    generator = torch.Generator().manual_seed(0)
    for name, value in network.state_dict().items():
        if name.endswith("noise_const"):
            drawn = torch.randn(value.shape, generator=generator)
            tensors.setdefault(name, drawn)
    tensors.setdefault("mapping.w_avg", torch.zeros(network.w_dim))
    tensors.setdefault(FIRST_BIAS, torch.zeros(network.sizes.channels[0]))


def fill_mean(network: StyleGAN1) -> None:
    """The mean of w, of a file without it."""
    network.mapping.w_avg.copy_(mean_w(network.mapping, network.z_dim))
