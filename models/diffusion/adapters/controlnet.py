"""ControlNets (Zhang et al., 2023, arXiv 2302.05543) from disk: of the original code and of diffusers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from ... import random_weights
from ...errors import BadCheckpoint
from ...families import Family, Registry
from ...files import beside
from ...files.checkpoints import Checkpoint
from ...files.folders import CONFIG, understood
from ...weights import DtypeFor, Tensors, count_layers, empty_weights, fill, full_precision, identity_of
from .. import original_layout, single_file
from ..networks import accepted

ORIGINAL: Final = "ControlNet"
DIFFUSERS: Final = "ControlNet in diffusers' layout"
PREFIX: Final = "control_model."
SIGNS: Final = ("input_hint_block.0.weight", "zero_convs.0.0.weight")
DIFFUSERS_SIGNS: Final = ("controlnet_cond_embedding.conv_in.weight", "controlnet_down_blocks.0.weight")
UNIONS: Final = ("task_embedding", "control_add_embedding.linear_1.weight")
"""Of a ControlNet Union, which is told which of its hints it is given."""
DIFFERENCE: Final = "difference"
"""Marks files that hold what is to be added to a model's own weights."""
HEADS: Final = 8
TIME_WIDTH: Final = 256
"""Cannot be detected: the heads of version 1, and the width in which each of XL's sizes is embedded."""
HINT_LAYERS: Final = re.compile(r"input_hint_block\.(\d+)\.(weight|bias)")
_RENAMED: Final = (
    (re.compile(r"zero_convs\.(\d+)\.0\."), r"controlnet_down_blocks.\1."),
    (re.compile(r"middle_block_out\.0\."), "controlnet_mid_block."),
)


class ControlNet:
    """A network that tells a Stable Diffusion U-Net what to draw where, by a hint: edges, depths, what is around a
    hole.

    network: ControlNetModel.
    """

    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    def __init__(self, network: Any, architecture: str) -> None:
        self.network = network
        self.architecture = architecture
        self.modules: tuple[nn.Module, ...] = (network,)
        self._identity: str | None = None

    @property
    def identity(self) -> str:
        """Tells the weights from all others."""
        if self._identity is None:
            self._identity = identity_of(self.modules)
        return self._identity

    @property
    def hint_scale(self) -> int:
        """Pixels of the hint to a latent cell, along a side."""
        return 2 ** (len(self.network.config.conditioning_embedding_out_channels) - 1)

    @property
    def residual_floats(self) -> float:
        """Floats per latent cell that it hands to the U-Net."""
        config = self.network.config
        widths = config.block_out_channels
        levels = (width * 4.0**-level for level, width in enumerate(widths))
        return widths[0] + (config.layers_per_block + 1) * sum(levels)

    @property
    def hint_floats(self) -> float:
        """Peak floats per latent cell while it looks at its hint: the hint, and a layer of its pixels before and after
        the activation."""
        return self.hint_scale**2 * (3 + 2 * self.network.config.conditioning_embedding_out_channels[0])


def renamed(tensors: Tensors) -> dict[str, torch.Tensor]:
    """The original's tensors under diffusers' names."""
    own = {name.removeprefix(PREFIX): value for name, value in tensors.items()}
    hints = sorted({int(match[1]) for name in own if (match := HINT_LAYERS.fullmatch(name)) is not None})
    found = {}
    for name, value in own.items():
        match = HINT_LAYERS.fullmatch(name)
        if match is not None:
            number = int(match[1])
            inner = "conv_in" if number == hints[0] else "conv_out" if number == hints[-1] else None
            place = inner or f"blocks.{hints.index(number) - 1}"
            found[f"controlnet_cond_embedding.{place}.{match[2]}"] = value
            continue
        for pattern, after in _RENAMED:
            name = pattern.sub(after, name)
        found[single_file.unet_name(name)] = value
    return found


def configuration(tensors: Tensors, heads: int = HEADS) -> dict[str, Any]:
    """Settings of ControlNetModel, from shapes under diffusers' names. heads: where its transformers project by
    convolutions; else they are 64 wide.

    Raises:
        KeyError: a tensor that tells a size is missing.
    """
    levels = count_layers(tensors, "down_blocks.{}.resnets.0.conv1.weight")
    widths = [tensors[f"down_blocks.{level}.resnets.0.conv1.weight"].shape[0] for level in range(levels)]
    block = "attentions.0.transformer_blocks"
    depths = [count_layers(tensors, f"down_blocks.{level}.{block}.{{}}.norm1.weight") for level in range(levels)]
    middle = count_layers(tensors, f"mid_block.{block}.{{}}.norm1.weight")
    attends = next((name for name in tensors if name.endswith("attn2.to_k.weight")), None)
    linear = any(name.endswith("proj_in.weight") and value.ndim == 2 for name, value in tensors.items())
    steps = count_layers(tensors, "controlnet_cond_embedding.blocks.{}.weight") // 2
    hint = "controlnet_cond_embedding"
    found = {
        "in_channels": tensors["conv_in.weight"].shape[1],
        "conditioning_channels": tensors[f"{hint}.conv_in.weight"].shape[1],
        "block_out_channels": widths,
        "layers_per_block": count_layers(tensors, "down_blocks.0.resnets.{}.conv1.weight"),
        "down_block_types": ["CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths],
        "mid_block_type": "UNetMidBlock2DCrossAttn" if middle else "UNetMidBlock2D",
        "transformer_layers_per_block": [*(max(depth, 1) for depth in depths[:-1]), max(middle, 1)],
        "attention_head_dim": [width // single_file.HEAD for width in widths] if linear else heads,
        "use_linear_projection": linear,
        "conditioning_embedding_out_channels": [
            tensors[f"{hint}.conv_in.weight"].shape[0],
            *(tensors[f"{hint}.blocks.{2 * step + 1}.weight"].shape[0] for step in range(steps)),
        ],
    }
    if attends is not None:
        found["cross_attention_dim"] = tensors[attends].shape[1]
    if "add_embedding.linear_1.weight" in tensors:
        found |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": TIME_WIDTH,
            "projection_class_embeddings_input_dim": tensors["add_embedding.linear_1.weight"].shape[1],
        }
    return found


def build(settings: Mapping[str, Any], tensors: Tensors, dtype_for: DtypeFor, what: str) -> Any:
    """A ControlNetModel of these settings, strictly filled. what: the file, as messages begin.

    Raises:
        BadCheckpoint: the tensors do not fit exactly, or the library makes nothing of the settings.
    """
    from diffusers import ControlNetModel

    with empty_weights(), understood(f"{what}: {CONFIG}"):
        network = ControlNetModel(**accepted(ControlNetModel, settings))
    fill(network, tensors, what, dtype_for(sum(parameter.numel() for parameter in network.parameters())))
    return network


def detect(checkpoint: Checkpoint) -> bool:
    """A ControlNet of the original code, alone or inside of the whole checkpoint that it was trained with."""
    tensors = checkpoint.tensors
    return all(name in tensors or PREFIX + name in tensors for name in SIGNS)


def detect_diffusers(checkpoint: Checkpoint) -> bool:
    """One in diffusers' layout: a file, or a folder with its configuration."""
    told = checkpoint.config.get("_class_name", "ControlNetModel")
    return told == "ControlNetModel" and all(name in checkpoint.tensors for name in DIFFUSERS_SIGNS)


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> ControlNet:
    """The ControlNet of a file of the original code."""
    what = f"{checkpoint.name}, {ORIGINAL}"
    if DIFFERENCE in checkpoint.tensors:
        raise BadCheckpoint(
            f"{what}: it holds differences from the weights of a base model (a _diff_control file); choose the "
            "whole one."
        )
    own = {name: value for name, value in checkpoint.tensors.items() if name.startswith(PREFIX)}
    tensors = renamed(own or checkpoint.tensors)
    return ControlNet(build(configuration(tensors), tensors, dtype_for, what), ORIGINAL)


def load_diffusers(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> ControlNet:
    """The ControlNet of a folder of diffusers, or of its weights, with `config.json` beside them or without."""
    what, tensors = f"{checkpoint.name}, {DIFFUSERS}", checkpoint.tensors
    union = next((name for name in UNIONS if name in tensors), None)
    if union is not None:
        raise BadCheckpoint(
            f"{what}: it is a ControlNet Union ({union}), which the pack does not run; choose one for one kind of hint."
        )
    told = checkpoint.config or beside.configuration(checkpoint, "ControlNetModel")
    return ControlNet(build(told or configuration(tensors), tensors, dtype_for, what), DIFFUSERS)


def published(sizes: original_layout.Sizes) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a file of the original code for a model of these sizes."""
    ways = ("time_embed.", "label_emb.", "input_blocks.", "middle_block.")
    unet = original_layout.unet(sizes._replace(channels=4))
    found = {name: shape for name, shape in unet.items() if name.startswith(ways)}
    hints = (3, 16, 16, 32, 32, 96, 96, 256, sizes.widths[0])
    for place, (into, out) in enumerate(pairwise(hints)):
        layer = f"input_hint_block.{2 * place}"
        found |= {f"{layer}.weight": (out, into, 3, 3), f"{layer}.bias": (out,)}
    for place, width in enumerate(original_layout.joined(sizes)):
        found |= {f"zero_convs.{place}.0.weight": (width, width, 1, 1), f"zero_convs.{place}.0.bias": (width,)}
    last = sizes.widths[-1]
    return found | {"middle_block_out.0.weight": (last, last, 1, 1), "middle_block_out.0.bias": (last,)}


@cache
def _typical() -> frozenset[str]:
    return frozenset(PREFIX + name for name in published(original_layout.BASE))


def write_original(folder: Path) -> Path:
    """A small file of the original layout; gives its path."""
    tensors = random_weights.random_tensors(published(original_layout.TINY))
    return random_weights.write(folder / "tiny.safetensors", {PREFIX + name: value for name, value in tensors.items()})


def write_diffusers(folder: Path) -> Path:
    """A small folder of diffusers for `tiny.unet`; gives its path."""
    from .. import tiny

    network = tiny.control_network()
    network.load_state_dict(random_weights.random_weights(network))
    network.save_pretrained(folder / "tiny")
    return folder / "tiny"


CONTROLNETS: Final[Registry[ControlNet]] = Registry(
    "controlnet",
    lambda: (
        Family(ORIGINAL, detect, load, write_original, typical=_typical),
        Family(DIFFUSERS, detect_diffusers, load_diffusers, write_diffusers, beside.files),
    ),
)


def load_controlnet(path: Path, dtype_for: DtypeFor = full_precision) -> ControlNet:
    """Read a file or a folder, onto the CPU.

    Raises:
        MissingFile, BadCheckpoint: see `Registry.load`.
    """
    return CONTROLNETS.load(path, dtype_for)
