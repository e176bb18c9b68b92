"""DALL-E's discrete VAE (Ramesh et al. 2021, arXiv:2102.12092), whose encoder and decoder are files of their own.

OpenAI published both as whole pickled modules, of which the tensors are read as data; names and sizes are those of the
package DALL-E 0.1. Its transformer was never published, so that it encodes and decodes only. Every network computes in
float32; the original, on a card, in float16.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from torch import nn

from ... import weights
from ...errors import BadCheckpoint
from ...families import Family
from ...files import checkpoints
from ...files.checkpoints import Checkpoint
from ...files.halves import HALVES, Half, files
from ...random_weights import random_weights, write
from ...weights import DtypeFor, Tensors, empty_weights, full_precision
from ..base import Descriptor
from ..vae.autoencoder import OPTIONS, Autoencoder
from .quantised import QuantisedCoder

NAME: Final = "DALL-E dVAE"
SIGNS: Final = ("blocks.input.w", "blocks.output.conv.w")
FIRST_OF_BLOCK: Final = re.compile(r"blocks\.group_1\.block_\d+\.res_path\.conv_1\.w")
GROUPS: Final = 4
"""Of blocks at one resolution; the first three of the encoder end in a pooling, those of the decoder in its inverse."""
SCALE: Final = 2 ** (GROUPS - 1)
KERNELS: Final[Mapping[Half, tuple[int, ...]]] = {"encoder": (3, 3, 3, 1), "decoder": (1, 3, 3, 3)}
WIDTHS: Final[Mapping[Half, tuple[int, ...]]] = {"encoder": (1, 2, 4, 8), "decoder": (8, 4, 2, 1)}
"""Of the groups, as multiples of the narrowest."""
NARROWED: Final = 4
"""By how much a block's inner layers are narrower than what it gives."""
PIXELS: Final = 3
MARGIN: Final = 0.1
"""Pixels 0..1 are brought to MARGIN..1 - MARGIN (the logit-Laplace distribution has no mass at the ends)."""
SIDE: Final = 256
"""Of the pictures that it was trained on."""
FLOATS: Final = 6.0
"""Numbers per pixel at the peak, as a multiple of the narrowest width: where the last group of the decoder begins."""


class Convolution(nn.Module):
    """Keeps the size; its weights are called as in the file."""

    def __init__(self, inputs: int, outputs: int, side: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.empty(outputs, inputs, side, side))
        self.b = nn.Parameter(torch.empty(outputs))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return F.conv2d(features, self.w, self.b, padding=self.w.shape[-1] // 2)


class Block(nn.Module):
    """Four convolutions, each after a ReLU, scaled and added to what was there. gain: 1 / (number of layers)^2."""

    def __init__(self, inputs: int, outputs: int, kernels: tuple[int, ...], gain: float) -> None:
        super().__init__()
        hidden = outputs // NARROWED
        widths = (inputs, *[hidden] * (len(kernels) - 1), outputs)
        self.gain = gain
        self.id_path = Convolution(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.res_path = nn.ModuleDict(
            {
                f"conv_{place + 1}": Convolution(widths[place], widths[place + 1], side)
                for place, side in enumerate(kernels)
            }
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        found = features
        for convolution in self.res_path.values():
            found = convolution(found.relu())
        return torch.add(self.id_path(features), found, alpha=self.gain)


class HalfNetwork(nn.Module):
    """The encoder, or the decoder. inputs, first: channels of the first convolution. narrowest: of the groups.
    outputs: of the last convolution. depth: blocks to a group."""

    def __init__(self, half: Half, inputs: int, first: int, narrowest: int, outputs: int, depth: int) -> None:
        super().__init__()
        self.half: Half = half
        self.blocks = nn.ModuleDict({"input": Convolution(inputs, first, 7 if half == "encoder" else 1)})
        width = first
        for group, multiple in enumerate(WIDTHS[half]):
            blocks = nn.ModuleDict()
            for block in range(depth):
                blocks[f"block_{block + 1}"] = Block(
                    width, multiple * narrowest, KERNELS[half], 1 / (GROUPS * depth) ** 2
                )
                width = multiple * narrowest
            self.blocks[f"group_{group + 1}"] = blocks
        self.blocks["output"] = nn.ModuleDict({"conv": Convolution(width, outputs, 1)})

    def trunk(self, features: torch.Tensor) -> torch.Tensor:
        """What the groups make of the first convolution's answer, behind the last ReLU."""
        for group in range(1, GROUPS + 1):
            for block in self.blocks[f"group_{group}"].values():  # pyright: ignore[reportCallIssue]
                features = block(features)
            if group < GROUPS:
                features = F.max_pool2d(features, 2) if self.half == "encoder" else _doubled(features)
        return features.relu()

    def last(self, features: torch.Tensor) -> torch.Tensor:
        """The last convolution's answer."""
        return self.blocks["output"]["conv"](features)  # pyright: ignore[reportIndexIssue]


def _doubled(features: torch.Tensor) -> torch.Tensor:
    return F.interpolate(features, scale_factor=2, mode="nearest")


class DiscreteCoder(QuantisedCoder):
    """Latents are what the encoder's last layer, which scores all codes at each place, looks at; the best code is
    taken, whatever vectors lie near. Vectors are what the decoder's first layer has for the codes."""

    def __init__(self, encoder: HalfNetwork, decoder: HalfNetwork) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    @property
    def book(self) -> torch.Tensor:
        first = self.decoder.blocks["input"]
        return first.w[:, :, 0, 0].t() + first.b  # pyright: ignore[reportIndexIssue,reportOperatorIssue]

    def means(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.encoder.trunk(self.encoder.blocks["input"](mapped(pixels)))

    def scores(self, latents: torch.Tensor) -> torch.Tensor:
        """Logits of all codes, [N, K, h, w]."""
        return self.encoder.last(latents)

    def codes(self, latents: torch.Tensor) -> torch.Tensor:
        return self.scores(latents).argmax(dim=1)

    def restored(self, vectors: torch.Tensor) -> torch.Tensor:
        return unmapped(self.statistics(vectors)[:, :PIXELS].sigmoid())

    def statistics(self, vectors: torch.Tensor) -> torch.Tensor:
        """Means, and behind them scales, of the pixels' distributions before the logistic function, [N, 6, H, W]."""
        return self.decoder.last(self.decoder.trunk(vectors))


def mapped(pixels: torch.Tensor) -> torch.Tensor:
    """0..1 to 0.1..0.9."""
    return (1 - 2 * MARGIN) * pixels + MARGIN


def unmapped(pixels: torch.Tensor) -> torch.Tensor:
    """The inverse of `mapped`, within 0..1."""
    return ((pixels - MARGIN) / (1 - 2 * MARGIN)).clamp(0, 1)


def detect(checkpoint: Checkpoint) -> bool:
    """Either half."""
    return all(sign in checkpoint.tensors for sign in SIGNS)


def half_of(tensors: Tensors) -> Half:
    """By the first convolution: the encoder's looks at squares of pixels, the decoder's at one code."""
    return "encoder" if tensors[SIGNS[0]].shape[-1] > 1 else "decoder"


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> Autoencoder:
    """Both halves, of which one is given and the other lies beside it; sizes are read from the shapes.

    Raises:
        BadCheckpoint: the other half is not there, is none, or is of another model; a tensor is missing, unexpected,
            or of another shape.
    """
    given = half_of(checkpoint.tensors)
    other: Half = "decoder" if given == "encoder" else "encoder"
    beside = () if checkpoint.path is None else files(checkpoint.path)[1:]
    if not beside:
        raise BadCheckpoint(
            f"{checkpoint.name}, {NAME}: it is the {given}, and needs the {other} too, in the same folder and of the "
            f"same name with {other!r} for {given!r}; OpenAI publishes encoder.pkl and decoder.pkl at "
            "cdn.openai.com/dall-e."
        )
    found = checkpoints.read(beside[0])
    lacking = [sign for sign in SIGNS if sign not in found.tensors]
    if lacking or half_of(found.tensors) != other:
        why = f"it lacks {', '.join(lacking)}" if lacking else f"it holds an {NAME}'s {given}"
        raise BadCheckpoint(
            f"{checkpoint.name}, {NAME}: {beside[0].name} is by its name the {other}, but {why}; rename it, or "
            "download it again."
        )
    halves: dict[Half, Tensors] = {given: checkpoint.tensors, other: found.tensors}
    networks = {half: _filled(half, halves[half], f"{checkpoint.name}, {NAME}, {half}") for half in HALVES}
    coder = DiscreteCoder(networks["encoder"], networks["decoder"])
    codes = [len(halves["encoder"][SIGNS[1]]), len(coder.book)]
    if len(set(codes)) > 1:
        raise BadCheckpoint(
            f"{checkpoint.name}, {NAME}: the encoder has {codes[0]} codes and the decoder {codes[1]}; they belong to "
            "different models."
        )
    latent, narrowest = (halves[half][SIGNS[1]].shape[1] for half in HALVES)
    descriptor = Descriptor(
        family="vae",
        architecture=NAME,
        height=SIDE,
        width=SIDE,
        channels=PIXELS,
        parameters=sum(map(torch.numel, coder.parameters())),
        latent_shape=(latent, SIDE // SCALE, SIDE // SCALE),
        size_multiple=SCALE,
        options=OPTIONS,
        abilities=("encode", "decode", "interpolate"),
    )
    named = {f"{half}.{name}": value for half in HALVES for name, value in halves[half].items()}
    floats = max(FLOATS * narrowest, (codes[0] + latent) / SCALE**2)
    return Autoencoder(descriptor, coder, None, weights.identity(named), floats)


def _filled(half: Half, tensors: Tensors, what: str) -> HalfNetwork:
    first, inputs = tensors[SIGNS[0]].shape[:2]
    outputs, last = tensors[SIGNS[1]].shape[:2]
    narrowest = last // WIDTHS[half][-1]
    depth = len([name for name in tensors if FIRST_OF_BLOCK.fullmatch(name)])
    with empty_weights():
        network = HalfNetwork(half, inputs, first, narrowest, outputs, depth)
    weights.fill(network, tensors, what)
    return network


def tiny(folder: Path) -> Path:
    encoder = HalfNetwork("encoder", PIXELS, 8, 8, 16, 1)
    decoder = HalfNetwork("decoder", 16, 8, 8, 2 * PIXELS, 1)
    path = write(folder / "tiny_encoder.safetensors", random_weights(encoder))
    write(folder / "tiny_decoder.safetensors", random_weights(decoder))
    return path


def _typical() -> frozenset[str]:
    with empty_weights():
        return frozenset(HalfNetwork("encoder", PIXELS, 256, 256, 8192, 2).state_dict())


FAMILY: Final = Family(NAME, detect, load, tiny, files, _typical)
