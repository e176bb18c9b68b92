"""The second stage of VQGAN (Esser et al. 2021): taming-transformers' Net2NetTransformer over the codes of a VQGAN.

One file holds both, as `first_stage_model.` and `transformer.`. A picture's codes follow one token: its class, whose
number stands for itself in the vocabulary of codes, or the code 0 where there are no classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

import torch
from torch import nn

from ... import weights
from ...errors import BadCheckpoint
from ...families import Family
from ...files import beside
from ...files.checkpoints import Checkpoint
from ...files.folders import CONFIG, write_json
from ...random_weights import random_weights, write
from ...weights import DtypeFor, Tensors, empty_weights, full_precision
from ..base import Descriptor
from . import vq_model, vqgan
from .code_generator import ABILITIES, OPTIONS, CodeGenerator
from .code_prior import CodePrior
from .min_gpt import Block, KeysAndValues, next_token

NAME: Final = "VQGAN with transformer"
TRANSFORMER: Final = "transformer."
CONDITION: Final = "cond_stage_model."
"""Prefix of what encodes a picture, such as one of depths, that tells what is to be drawn."""
MASK: Final = ".attn.mask"
"""A triangle of ones that files hold for each block."""
PUBLISHED: Final[Mapping[tuple[int, int], Mapping[str, int]]] = {
    (48, 1536): {"n_head": 24, "num_classes": 1000},
    (24, 1664): {"n_head": 16, "num_classes": 0},
}
"""By blocks and width, what the shapes of published files do not tell: cin_transformer; CelebA-HQ, FFHQ, FacesHQ."""


class CodeGpt(CodePrior):
    """codes: size of the vocabulary. block_size: of the tokens that have a position. grid: rows and columns of a
    picture's codes. num_classes: 0 where there are none."""

    def __init__(
        self,
        codes: int,
        block_size: int,
        grid: tuple[int, int],
        num_classes: int,
        width: int = 64,
        layers: int = 2,
        heads: int = 2,
    ) -> None:
        super().__init__()
        self.grid, self.num_classes = grid, num_classes
        self.pos_emb = nn.Parameter(torch.zeros(1, block_size, width))
        self.tok_emb = nn.Embedding(codes, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        self.head = nn.Linear(width, codes, bias=False)

    @property
    def code(self) -> nn.Embedding:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.tok_emb

    def forward(self, codes: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return self.from_tokens(torch.cat([labels[:, None], codes.flatten(1)[:, :-1]], dim=1))

    def from_tokens(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits [N, T, codes] of what follows each of the tokens, int64 [N, T]."""
        embedded = self.tok_emb(tokens) + self.pos_emb[:, : tokens.shape[1]]
        for block in self.blocks:
            embedded = block(embedded)
        return self.head(self.ln_f(embedded))

    def begin(self, labels: torch.Tensor) -> tuple[torch.Tensor, KeysAndValues]:
        """The labels, and an empty cache."""
        heads = cast("Block", self.blocks[0]).attn.heads
        embedding = self.tok_emb.weight
        return labels, KeysAndValues.empty(embedding, len(self.blocks), len(labels), heads, self.places)

    def next_logits(self, state: tuple[torch.Tensor, KeysAndValues], codes: torch.Tensor, place: int) -> torch.Tensor:
        labels, cache = state
        token = self.tok_emb(labels if place == 0 else codes[:, place - 1])[:, None] + self.pos_emb[:, place]
        return self.head(self.ln_f(next_token(self.blocks, token, cache, place))[:, 0])

    def floats(self) -> float:
        # The cache; then the widest layer, and the distribution in twice the precision, sorted and summed.
        codes, width = self.tok_emb.weight.shape
        return 2 * len(self.blocks) * self.places * width + 8 * width + 8 * codes


def detect(checkpoint: Checkpoint) -> bool:
    """A VQGAN, and a block of this transformer."""
    named = checkpoint.tensors
    coder = weights.under(named, vqgan.FIRST_STAGE)
    return f"{TRANSFORMER}blocks.0.attn.key.weight" in named and vqgan.detect(Checkpoint(coder, {}))


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> CodeGenerator:
    """Sizes are read from the shapes. Metadata, or a config.json beside the file, tells `n_head`, `num_classes` (0: it
    has none) and, where it is not 256 pixels, `sample_size`; published files need none.

    Raises:
        BadCheckpoint: it draws from pictures of another kind, does not tell those, or does not fit exactly.
    """
    what = f"{checkpoint.name}, {NAME}"
    picture = next((name for name in checkpoint.tensors if name.startswith(CONDITION)), None)
    if picture is not None:
        raise BadCheckpoint(
            f"{what}: it draws from a picture of another kind ({picture}), such as one of depths, which no node gives "
            "it; choose one that draws from classes or from nothing."
        )
    told = beside.settings(checkpoint)
    tensors = {name: value for name, value in checkpoint.tensors.items() if not name.endswith(MASK)}
    first = {name: value for name, value in tensors.items() if name.startswith(vqgan.FIRST_STAGE)}
    coder = vqgan.build(first, told, checkpoint.name)
    own = {name: value for name, value in tensors.items() if not name.startswith(vqgan.FIRST_STAGE)}
    cells = told.get("sample_size", vq_model.SIDE) // coder.scale
    with empty_weights():
        prior = build(own, told, (cells, cells), what)
    weights.fill(nn.ModuleDict({TRANSFORMER.rstrip("."): prior}), own, what)
    if prior.tok_emb.num_embeddings != len(coder.book) or prior.places > prior.pos_emb.shape[1]:
        raise BadCheckpoint(
            f"{what}: transformer.tok_emb and transformer.pos_emb are of {prior.tok_emb.num_embeddings} codes and "
            f"{prior.pos_emb.shape[1]} places, and its VQGAN has {len(coder.book)} and makes {prior.places} of a "
            "picture; they do not belong together."
        )
    descriptor = Descriptor(
        family="autoregressive",
        architecture=NAME,
        height=cells * coder.scale,
        width=cells * coder.scale,
        channels=coder.network.config.out_channels,
        parameters=sum(parameter.numel() for part in (coder, prior) for parameter in part.parameters()),
        conditions=("none", "class") if prior.num_classes else ("none",),
        class_names=tuple(told.get("class_names", ())),
        num_classes=prior.num_classes,
        latent_shape=(coder.book.shape[1], cells, cells),
        options=OPTIONS,
        abilities=ABILITIES,
    )
    return CodeGenerator(descriptor, coder, prior, weights.identity({**vqgan.bare(first), **own}), coder.floats)


def build(tensors: Tensors, told: Mapping[str, Any], grid: tuple[int, int], what: str) -> CodeGpt:
    """A transformer that a file's tensors fit. what: the file and the network, as messages begin."""
    codes, width = tensors[f"{TRANSFORMER}tok_emb.weight"].shape
    layers = weights.count_layers(tensors, TRANSFORMER + "blocks.{}.attn.key.weight")
    known = {**PUBLISHED.get((layers, width), {}), **told}
    missing = [name for name in ("n_head", "num_classes") if name not in known]
    if missing:
        raise BadCheckpoint(
            f"{what}: its shapes do not tell {' and '.join(missing)} (attention heads; classes, 0 for none). Write a "
            f'config.json with {{"{missing[0]}": ...}} beside it.'
        )
    return CodeGpt(
        codes, tensors[f"{TRANSFORMER}pos_emb"].shape[1], grid, known["num_classes"], width, layers, known["n_head"]
    )


def tiny(folder: Path) -> Path:
    coder = vqgan.original(random_weights(vq_model.of_widths((32, 32), 1, codes=16)), levels=2)
    prior = random_weights(CodeGpt(16, 20, (4, 4), 3, width=8))
    tensors = {vqgan.FIRST_STAGE + name: value for name, value in coder.items()}
    tensors |= {TRANSFORMER + name: value for name, value in prior.items()}
    tensors |= {f"{TRANSFORMER}blocks.{block}{MASK}": torch.ones(1, 1, 20, 20).tril() for block in range(2)}
    write_json(folder / CONFIG, {"n_head": 2, "num_classes": 3, "sample_size": 8})
    return write(folder / "tiny.safetensors", tensors)


def _typical() -> frozenset[str]:
    with empty_weights():
        prior = CodeGpt(16, 20, (4, 4), 3, layers=24)
    coder = vqgan.FAMILY.typical()
    return frozenset({vqgan.FIRST_STAGE + name for name in coder} | {TRANSFORMER + name for name in prior.state_dict()})


FAMILY: Final = Family(NAME, detect, load, tiny, beside.files, _typical)
