"""BigGAN-deep (Brock et al. 2018) in the layout of pytorch-pretrained-BigGAN, `biggan-deep-{128,256,512}`.

All sizes are read from shapes. A `config.json` beside the weights, or one of the published name, tells the norms'
epsilon and which blocks double the side; without it, those are 1e-4 and every second block, as published.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from .... import imagenet, weights
from ....errors import BadCheckpoint
from ....families import Family
from ....files.checkpoints import Checkpoint
from ....files.folders import CONFIG, read_json, weight_files, write_json
from ....random_weights import random_tensors, write
from ....weights import DtypeFor, Tensors, empty_weights, full_precision
from .generator import BigGANGenerator
from .network import COLOURS, AttentionSize, BigGANDeep, BlockSize, Sizes

NAME: Final = "BigGAN-deep"
WEIGHTS: Final = "pytorch_model"
"""End of the published name, where that of the configuration has `config`."""
LAYER: Final = "generator.layers.{}."
BLOCK: Final = "conv_0.weight_orig"
ATTENTION: Final = "snconv1x1_theta.weight_orig"
SIGNS: Final = ("embeddings.weight", "generator.gen_z.weight_orig", "generator.layers.0.bn_0.running_means")


def detect(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint is a BigGAN-deep generator in this layout."""
    return all(name in checkpoint.tensors for name in SIGNS)


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> BigGANGenerator:
    """Build the generator of a checkpoint that `detect` claims.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape; the configuration does not fit.
    """
    what = f"{checkpoint.name}, {NAME}"
    file = _config_file(checkpoint.path) if checkpoint.path is not None else None
    sizes = _sizes(checkpoint.tensors, {} if file is None else read_json(file), what)
    with empty_weights():
        network = BigGANDeep(sizes)
    weights.check_fit(dict(_published(network)), checkpoint.tensors, what)
    weights.fill(network, _applied(network, checkpoint.tensors), what)
    identity = weights.identity(checkpoint.tensors)
    return BigGANGenerator(NAME, network, imagenet.names_of(sizes.classes), identity)


def _sizes(tensors: Tensors, config: Mapping[str, Any], what: str) -> Sizes:
    classes = tensors["embeddings.weight"].shape[1]
    # z and the class have as many numbers each.
    z_dim = tensors["generator.gen_z.weight_orig"].shape[1] // 2
    found: list[BlockSize | AttentionSize] = []
    blocks = 0
    while True:
        layer = LAYER.format(len(found))
        if layer + BLOCK in tensors:
            middle, inputs = tensors[layer + BLOCK].shape[:2]
            outputs = tensors[layer + "conv_3.weight_orig"].shape[0]
            found.append(BlockSize(inputs, middle, outputs, up=bool(blocks % 2)))
            blocks += 1
        elif layer + ATTENTION in tensors:
            keys, channels = tensors[layer + ATTENTION].shape[:2]
            found.append(AttentionSize(channels, keys, tensors[layer + "snconv1x1_g.weight_orig"].shape[0]))
        else:
            break
    rows, width = tensors["generator.bn.running_means"].shape
    sizes = Sizes(z_dim, classes, width, rows, tuple(found))
    return _configured(sizes, config, what) if config else sizes


def _configured(sizes: Sizes, config: Mapping[str, Any], what: str) -> Sizes:
    """What the configuration tells beyond the shapes."""
    told = config.get("layers")
    if told is not None:
        up = [bool(each[0]) for each in told]
        layers = list(sizes.layers)
        places = [place for place, layer in enumerate(layers) if isinstance(layer, BlockSize)]
        if len(up) != len(places):
            raise BadCheckpoint(
                f"{what}: its configuration has {len(up)} layers, its weights {len(places)} blocks; they do not belong "
                "together."
            )
        for place, doubles in zip(places, up, strict=True):
            layer = layers[place]
            assert isinstance(layer, BlockSize)
            layers[place] = layer._replace(up=doubles)
        sizes = sizes._replace(layers=tuple(layers))
    for name, value in (("output_dim", sizes.side), ("num_classes", sizes.classes), ("z_dim", sizes.z_dim)):
        if config.get(name, value) != value:
            raise BadCheckpoint(
                f"{what}: its configuration says {name} = {config[name]!r}, its weights {value}; they do not belong "
                "together."
            )
    epsilon = config.get("eps", sizes.epsilon)
    if not isinstance(epsilon, float) or not 0 < epsilon < 1:
        raise BadCheckpoint(f"{what}: its configuration says eps = {epsilon!r}, which is no small number.")
    return sizes._replace(epsilon=epsilon)


def _normalised(network: nn.Module) -> Iterator[tuple[str, nn.Conv2d | nn.Linear]]:
    """The layers whose weights the file holds before their spectral norm."""
    for name, module in network.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)) and name != "embeddings":
            yield name, module


def _published(network: BigGANDeep) -> Iterator[tuple[str, torch.Size]]:
    """Every tensor of a file, and its shape."""
    normalised = {f"{name}.weight": module for name, module in _normalised(network)}
    for name, value in network.state_dict().items():
        shape = list(value.shape)
        if name.startswith("generator.conv_to_rgb."):
            shape[0] = network.sizes.width
        if name not in normalised:
            yield name, torch.Size(shape)
            continue
        yield f"{name}_orig", torch.Size(shape)
        yield f"{name}_u", torch.Size(shape[:1])
        yield f"{name}_v", torch.Size([torch.Size(shape[1:]).numel()])


def _applied(network: BigGANDeep, tensors: Tensors) -> dict[str, Tensor]:
    """The network's tensors, the spectral norms divided out (Miyato et al. 2018): W / (u W v)."""
    made = {name: tensors[name] for name in network.state_dict() if name in tensors}
    for name, _ in _normalised(network):
        weight, u, v = (
            # Copies begin at even addresses, wherever a file has them: sums come out the same.
            tensors[f"{name}.weight_{part}"].to(torch.float32, copy=True)
            for part in ("orig", "u", "v")
        )
        made[f"{name}.weight"] = weight / torch.dot(u, torch.mv(weight.flatten(1), v))
    for name in ("generator.conv_to_rgb.weight", "generator.conv_to_rgb.bias"):
        made[name] = made[name][:COLOURS]
    return made


def _config_file(path: Path) -> Path | None:
    """Of weights `x-pytorch_model.bin` first `x-config.json`, of others and of folders `config.json`."""
    own = path.parent / f"{path.stem.removesuffix(WEIGHTS)}{CONFIG}"
    folder = path if path.is_dir() else path.parent
    places: Sequence[Path] = (own, folder / CONFIG) if path.stem.endswith(WEIGHTS) else (folder / CONFIG,)
    return next((file for file in places if file.is_file()), None)


def files(path: Path) -> tuple[Path, ...]:
    """Weights and configuration."""
    config = _config_file(path)
    return (*weight_files(path), *([] if config is None else [config]))


def _tiny_sizes() -> Sizes:
    layers = (BlockSize(64, 16, 64, False), BlockSize(64, 16, 32, True), AttentionSize(32, 4, 16))
    return Sizes(6, 3, 4, 6, (*layers, BlockSize(32, 8, 16, False), BlockSize(16, 4, 4, True)))


def tiny(folder: Path) -> Path:
    sizes = _tiny_sizes()
    with empty_weights():
        network = BigGANDeep(sizes)
    made = random_tensors(dict(_published(network)))
    for name, value in made.items():
        if name.endswith("running_vars"):
            made[name] = value.abs() + 0.5
    for name, _ in _normalised(network):
        # One step of the power iteration, as training leaves them.
        weight, u = made[f"{name}.weight_orig"].flatten(1), made[f"{name}.weight_u"]
        v = weight.T @ u
        made[f"{name}.weight_v"] = v / v.norm()
        u = weight @ made[f"{name}.weight_v"]
        made[f"{name}.weight_u"] = u / u.norm()
    up = [[layer.up, 16, 16] for layer in sizes.layers if isinstance(layer, BlockSize)]
    write_json(folder / CONFIG, {"output_dim": sizes.side, "layers": up, "eps": sizes.epsilon})
    return write(folder / "tiny.safetensors", made)


def _typical() -> frozenset[str]:
    block = BlockSize(16, 4, 16, False)
    layers = (*[block] * 8, AttentionSize(16, 2, 8), *[block] * 4)
    with empty_weights():
        return frozenset(name for name, _ in _published(BigGANDeep(Sizes(8, 10, 1, 51, layers))))


FAMILY: Final = Family(NAME, detect, load, tiny, files, _typical)
