"""DINOv2 as an extractor at 224 pixels, as FD-DINOv2 (Stein et al. 2023, dgm-eval) takes its features: from Meta's
published files, and from transformers' folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isqrt
from pathlib import Path
from typing import Any, Final

import torch

from ... import weights
from ...errors import BadCheckpoint
from ...families import Family
from ...files.checkpoints import Checkpoint
from ...weights import DtypeFor, Tensors, empty_weights
from .base import Answers, Extractor
from .dinov2_network import EPSILON, HEAD_SIZE, DINOv2, Sizes
from .resizes import resize, with_derivatives

NAME: Final = "DINOv2"
REGISTERS: Final = "with registers"
TAP: Final = "class token"
SIDE: Final = 224
MEAN: Final = (0.485, 0.456, 0.406)
STD: Final = (0.229, 0.224, 0.225)
"""Of ImageNet's channels, 0..1."""
PATCH: Final = 14
GRID: Final = 37
"""Positions along a side of the 518 pixels that Meta's were trained on last."""
PUBLISHED: Final = {(384, 12): "ViT-S/14", (768, 12): "ViT-B/14", (1024, 24): "ViT-L/14", (1536, 40): "ViT-g/14"}
"""Names of Meta's sizes, by width and depth; all have patches of PATCH pixels and GRID positions."""
MASK: Final = "mask_token"
"""What training alone takes; some copies have it, some have not."""
OF_META: Final = ("cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.0.ls1.gamma")
OF_TRANSFORMERS: Final = ("embeddings.cls_token", "encoder.layer.0.layer_scale1.lambda1", "layernorm.weight")
"""Tensors that all DINOv2 have, and nothing else has."""
NAMES: Final = {
    "cls_token": "embeddings.cls_token",
    "pos_embed": "embeddings.position_embeddings",
    MASK: "embeddings.mask_token",
    "register_tokens": "embeddings.register_tokens",
    "patch_embed.proj.": "embeddings.patch_embeddings.projection.",
    "norm.": "layernorm.",
    "blocks.": "encoder.layer.",
}
"""Beginnings of Meta's names, and transformers' for them."""
IN_BLOCKS: Final = {
    "ls1.gamma": "layer_scale1.lambda1",
    "ls2.gamma": "layer_scale2.lambda1",
    "attn.proj.": "attention.output.dense.",
    "mlp.w12.": "mlp.weights_in.",
    "mlp.w3.": "mlp.weights_out.",
}
"""Within a block."""
PARTS: Final = tuple(f"attention.attention.{name}." for name in ("query", "key", "value"))
"""Of `attn.qkv`, which transformers keeps in three."""
FIXED: Final = {"layer_norm_eps": EPSILON, "hidden_act": "gelu"}
"""What a configuration may say otherwise, though no published one does."""


class DINOv2Extractor(Extractor):
    """The class token behind the last norm: 384, 768, 1,024 or 1,536 features; no classes, so no Inception score."""

    main = TAP
    side = SIDE

    def __init__(self, network: DINOv2) -> None:
        sizes = network.sizes
        self.name = f"{NAME} {_size(sizes)}" + (f" {REGISTERS}" if sizes.registers else "")
        self.identity = weights.identity(network.state_dict())
        self.taps = {TAP: sizes.width}
        self.network = network
        self.modules = (network,)

    @property
    def setup(self) -> Mapping[str, str]:
        sizes = self.network.sizes
        return {
            "model": self.name if sizes.registers or not _is_published(sizes) else NAME,
            "layer": TAP,
            "features": str(sizes.width),
            "side": str(SIDE),
            "mean": " ".join(f"{value!r}" for value in MEAN),
            "std": " ".join(f"{value!r}" for value in STD),
        }

    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        return resize(images, SIDE, self.resize)

    def extract(self, prepared: torch.Tensor, taps: Sequence[str]) -> Answers:
        features = self.network(_normalised(prepared.to(self.network.cls_token.device, torch.float32) / 255)).cpu()
        return Answers(tuple(features for _ in taps), None)

    def see(self, pictures: torch.Tensor, taps: Sequence[str]) -> Answers:
        features = self.network(_normalised(with_derivatives(pictures, SIDE) / 255))
        return Answers(tuple(features for _ in taps), None)

    def memory_bytes(self, batch_size: int) -> int:
        sizes = self.network.sizes
        tokens = 1 + sizes.registers + (SIDE // sizes.patch) ** 2
        # The stream and its norm beside the MLP's layer, before and behind its activation; the input, twice.
        values = tokens * (2 * sizes.width + 2 * sizes.hidden * (1.5 if sizes.gated else 1)) + 2 * 3 * SIDE * SIDE
        return int(4 * values) * batch_size


def _normalised(pixels: torch.Tensor) -> torch.Tensor:
    """Values 0..1 as the network takes them, in place."""
    mean, std = (pixels.new_tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return pixels.sub_(mean).div_(std)


def _is_published(sizes: Sizes) -> bool:
    return (sizes.width, sizes.depth) in PUBLISHED and (sizes.patch, sizes.grid) == (PATCH, GRID)


def _size(sizes: Sizes) -> str:
    if _is_published(sizes):
        return PUBLISHED[sizes.width, sizes.depth]
    return f"of {sizes.depth} blocks, {sizes.width} features, patches of {sizes.patch} and {sizes.grid**2:,} positions"


def published_names(tensors: Tensors) -> dict[str, torch.Tensor]:
    """transformers' tensors by Meta's names."""
    named = {}
    for name, value in tensors.items():
        first = next((part for part in PARTS if part in name), None)
        if first is None:
            named[_renamed(name)] = value
        elif first is PARTS[0]:
            parts = [tensors.get(name.replace(first, part)) for part in PARTS]
            # Where one is missing, or of another shape, the fill says so.
            whole = [part for part in parts if part is not None and part.shape[1:] == value.shape[1:]]
            named[_renamed(name.replace(first, "attn.qkv."))] = torch.cat(whole) if value.ndim else value
        elif name.replace(first, PARTS[0]) not in tensors:
            named[name] = value
    return named


def _renamed(name: str) -> str:
    for ours, theirs in NAMES.items():
        if name.startswith(theirs):
            name = ours + name.removeprefix(theirs)
            break
    for ours, theirs in IN_BLOCKS.items() if name.startswith("blocks.") else ():
        name = name.replace(theirs, ours)
    return name


def _sizes(tensors: Tensors, what: str) -> Sizes:
    """As shapes tell.

    Raises:
        BadCheckpoint: no such network takes pictures of SIDE, or has heads of HEAD_SIZE.
    """
    kernel, positions = tensors["patch_embed.proj.weight"], tensors["pos_embed"]
    if kernel.ndim != 4 or positions.ndim != 3:
        raise BadCheckpoint(f"{what}: its patch_embed.proj or its pos_embed has too few sizes; download it again.")
    width, patch = kernel.shape[0], kernel.shape[-1]
    grid = isqrt(max(positions.shape[1] - 1, 0))
    if width % HEAD_SIZE or not patch or SIDE % patch or positions.shape[1] != 1 + grid**2 or not grid:
        raise BadCheckpoint(
            f"{what}: it has {width} features, patches of {patch} pixels and {positions.shape[1]:,} positions; the "
            f"pack reads those with a multiple of {HEAD_SIZE} features, patches that {SIDE} pixels are a multiple of, "
            "and positions of a square and a class token. Choose one of Meta's."
        )
    gated = "blocks.0.mlp.w12.weight" in tensors
    hidden = tensors["blocks.0.mlp.w3.weight" if gated else "blocks.0.mlp.fc1.bias"]
    registers = tensors.get("register_tokens")
    return Sizes(
        width,
        len({name.split(".")[1] for name in tensors if name.startswith("blocks.")}),
        patch,
        grid,
        registers.shape[1] if registers is not None and registers.ndim == 3 else 0,
        hidden.shape[-1] if hidden.ndim else 0,
        gated,
    )


def _check(config: Mapping[str, Any], sizes: Sizes, what: str) -> None:
    """
    Raises:
        BadCheckpoint: a folder's configuration describes another network than the one that is built.
    """
    heads = {"num_attention_heads": sizes.width // HEAD_SIZE}
    for name, wanted in {**FIXED, **heads}.items():
        if config.get(name, wanted) != wanted:
            raise BadCheckpoint(
                f"{what}: its config.json says {name} {config[name]!r}, but the pack reads those with {wanted!r}, as "
                "all published ones have it; choose one of Meta's."
            )


def _detect(checkpoint: Checkpoint) -> bool:
    return any(all(name in checkpoint.tensors for name in names) for names in (OF_META, OF_TRANSFORMERS))


def _load(checkpoint: Checkpoint, dtype_for: DtypeFor) -> Extractor:
    of_meta = OF_META[0] in checkpoint.tensors
    tensors = dict(checkpoint.tensors) if of_meta else published_names(checkpoint.tensors)
    what = f"{checkpoint.name}, {NAME}"
    sizes = _sizes(tensors, what)
    _check(checkpoint.config, sizes, what)
    expected = torch.Size((1, sizes.width))
    if (mask := tensors.pop(MASK, None)) is not None:
        weights.check_fit({MASK: expected}, {MASK: mask}, what)
    with empty_weights():
        network = DINOv2(sizes)
    weights.fill(network, tensors, what)
    return DINOv2Extractor(network)


def _typical() -> frozenset[str]:
    with empty_weights():
        return frozenset({*DINOv2(Sizes(HEAD_SIZE, 24, PATCH, GRID, 0, 4 * HEAD_SIZE, False)).state_dict(), MASK})


def _tiny(folder: Path) -> Path:
    from safetensors.torch import save_file

    sizes = Sizes(2 * HEAD_SIZE, 2, PATCH, GRID, 0, 8 * HEAD_SIZE, False)
    with empty_weights():
        shapes = {key: value.shape for key, value in DINOv2(sizes).state_dict().items()}
    drawing = torch.Generator().manual_seed(0)
    tensors = {key: torch.randn(shape, generator=drawing) * shape[-1] ** -0.5 for key, shape in shapes.items()}
    path = folder / "dinov2.safetensors"
    save_file({**tensors, MASK: torch.zeros(1, sizes.width)}, path)
    return path


DINOV2: Final[Family[Extractor]] = Family(NAME, _detect, _load, _tiny, typical=_typical)
