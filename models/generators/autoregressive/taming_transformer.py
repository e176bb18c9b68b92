"""The second stage of VQGAN (Esser et al. 2021): taming-transformers' Net2NetTransformer over the codes of a VQGAN.

One file holds both, as `first_stage_model.` and `transformer.`. A picture's codes follow one token: its class, whose
number stands for itself in the vocabulary of codes, or the code 0 where there are no classes; or they follow all codes
that a second VQGAN, `cond_stage_model.`, makes of a map of depths (D-RIN) or labels (S-FLCKR).
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
from .guided_codes import GuidedCodeGenerator
from .min_gpt import Block, KeysAndValues, first_tokens, next_token
from .vq_model import VQModelCoder

NAME: Final = "VQGAN with transformer"
TRANSFORMER: Final = "transformer."
CONDITION: Final = "cond_stage_model."
"""Prefix of the VQGAN that encodes a map of what is to be drawn."""
COLOURS: Final = "colorize"
"""A tensor of a VQGAN of labels that shows them, and takes no part in anything else."""
MASK: Final = ".attn.mask"
"""A triangle of ones that files hold for each block."""
PUBLISHED: Final[Mapping[tuple[int, int], Mapping[str, int]]] = {
    (48, 1536): {"n_head": 24, "num_classes": 1000},
    (24, 1664): {"n_head": 16, "num_classes": 0},
    (24, 1024): {"n_head": 16, "num_classes": 0},
}
"""By blocks and width, what the shapes of published files do not tell: cin_transformer; CelebA-HQ, FFHQ, FacesHQ;
D-RIN, S-FLCKR."""


class CodeGpt(CodePrior):
    """codes: size of the vocabulary. block_size: of the tokens that have a position. grid: rows and columns of a
    picture's codes. num_classes: 0 where there are none. before: tokens that come before a picture's codes; what
    `forward` and `begin` get as labels are these, int64 [N] or [N, before]."""

    def __init__(
        self,
        codes: int,
        block_size: int,
        grid: tuple[int, int],
        num_classes: int,
        width: int = 64,
        layers: int = 2,
        heads: int = 2,
        before: int = 1,
    ) -> None:
        super().__init__()
        self.grid, self.num_classes, self.before = grid, num_classes, before
        self.pos_emb = nn.Parameter(torch.zeros(1, block_size, width))
        self.tok_emb = nn.Embedding(codes, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        self.head = nn.Linear(width, codes, bias=False)

    @property
    def code(self) -> nn.Embedding:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.tok_emb

    def forward(self, codes: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        tokens = torch.cat([labels.reshape(-1, self.before), codes.flatten(1)[:, :-1]], dim=1)
        return self.from_tokens(tokens)[:, self.before - 1 :]

    def from_tokens(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits [N, T, codes] of what follows each of the tokens, int64 [N, T]."""
        embedded = self.tok_emb(tokens) + self.pos_emb[:, : tokens.shape[1]]
        for block in self.blocks:
            embedded = block(embedded)
        return self.head(self.ln_f(embedded))

    def begin(self, labels: torch.Tensor) -> tuple[torch.Tensor, KeysAndValues]:
        """What comes out for the last token before the codes, [N, 1, width], and the cache of all of them."""
        heads = cast("Block", self.blocks[0]).attn.heads
        room = self.before + self.places - 1
        cache = KeysAndValues.empty(self.tok_emb.weight, len(self.blocks), len(labels), heads, room)
        tokens = self.tok_emb(labels.reshape(-1, self.before)) + self.pos_emb[:, : self.before]
        return first_tokens(self.blocks, tokens, cache)[:, -1:], cache

    def next_logits(self, state: tuple[torch.Tensor, KeysAndValues], codes: torch.Tensor, place: int) -> torch.Tensor:
        hidden, cache = state
        if place:
            at = self.before + place - 1
            token = self.tok_emb(codes[:, place - 1])[:, None] + self.pos_emb[:, at]
            hidden = next_token(self.blocks, token, cache, at)
        return self.head(self.ln_f(hidden)[:, 0])

    def floats(self) -> float:
        # The cache; then the widest layer, of all tokens before the codes or of one, and the distribution in twice the
        # precision, sorted and summed.
        codes, width = self.tok_emb.weight.shape
        cache = 2 * len(self.blocks) * (self.before + self.places - 1) * width
        return cache + max(10 * self.before * width, 8 * width + 8 * codes)


def detect(checkpoint: Checkpoint) -> bool:
    """A VQGAN, and a block of this transformer."""
    named = checkpoint.tensors
    coder = weights.under(named, vqgan.FIRST_STAGE)
    return f"{TRANSFORMER}blocks.0.attn.key.weight" in named and vqgan.detect(Checkpoint(coder, {}))


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> CodeGenerator:
    """Sizes are read from the shapes. Metadata, or a config.json beside the file, tells `n_head`, `num_classes` (0: it
    has none) and, where it is not 256 pixels, `sample_size`; published files need none.

    Raises:
        BadCheckpoint: it draws from what is no map, does not tell those, or does not fit exactly.
    """
    what = f"{checkpoint.name}, {NAME}"
    told = beside.settings(checkpoint)
    tensors = {name: value for name, value in checkpoint.tensors.items() if not name.endswith(MASK)}
    first = {name: value for name, value in tensors.items() if name.startswith(vqgan.FIRST_STAGE)}
    second = {name: value for name, value in weights.under(tensors, CONDITION).items() if name != COLOURS}
    own = {name: value for name, value in tensors.items() if not name.startswith((vqgan.FIRST_STAGE, CONDITION))}
    coder = vqgan.build(first, told, checkpoint.name)
    guide = _guide(second, told, checkpoint.name) if second else None
    side = told.get("sample_size", vq_model.SIDE)
    cells = side // coder.scale
    before = (side // guide.scale) ** 2 if guide else 1
    with empty_weights():
        prior = build(own, {**told, "num_classes": 0} if guide else told, (cells, cells), what, before)
    weights.fill(nn.ModuleDict({TRANSFORMER.rstrip("."): prior}), own, what)
    known, length = prior.tok_emb.num_embeddings, before + prior.places - 1
    if known != len(coder.book) or (guide and len(guide.book) > known) or length > prior.pos_emb.shape[1]:
        map_of = f" and its map's VQGAN {len(guide.book)} and {before}" if guide else ""
        raise BadCheckpoint(
            f"{what}: transformer.tok_emb and transformer.pos_emb are of {known} codes and {prior.pos_emb.shape[1]} "
            f"places, and its VQGAN has {len(coder.book)} and makes {prior.places} of a picture{map_of}; they do not "
            "belong together."
        )
    parts = (coder, prior, *([guide] if guide else []))
    descriptor = Descriptor(
        family="autoregressive",
        architecture=NAME,
        height=cells * coder.scale,
        width=cells * coder.scale,
        channels=coder.network.config.out_channels,
        parameters=sum(parameter.numel() for part in parts for parameter in part.parameters()),
        conditions=("image",) if guide else ("none", "class") if prior.num_classes else ("none",),
        class_names=tuple(told.get("class_names", ())),
        num_classes=prior.num_classes,
        latent_shape=(coder.book.shape[1], cells, cells),
        options=OPTIONS,
        abilities=ABILITIES,
    )
    identity = weights.identity(
        {**vqgan.bare(first), **own, **{CONDITION + name: each for name, each in second.items()}}
    )
    if guide:
        return GuidedCodeGenerator(descriptor, coder, prior, guide, identity)
    return CodeGenerator(descriptor, coder, prior, identity, coder.floats)


def _guide(tensors: dict[str, torch.Tensor], told: Mapping[str, Any], name: str) -> VQModelCoder:
    """The VQGAN of maps. tensors: without their prefix."""
    if not vqgan.detect(Checkpoint(tensors, {})):
        raise BadCheckpoint(
            f"{name}, {NAME}: what it draws from is encoded by another network than a VQGAN "
            f"({CONDITION}{next(iter(tensors))}); choose one that draws from a map, from classes or from nothing."
        )
    return vqgan.build(tensors, dict(told), f"{name}, {CONDITION.rstrip('.')}")


def build(tensors: Tensors, told: Mapping[str, Any], grid: tuple[int, int], what: str, before: int = 1) -> CodeGpt:
    """A transformer that a file's tensors fit. what: as messages begin. before: see CodeGpt."""
    codes, width = tensors[f"{TRANSFORMER}tok_emb.weight"].shape
    layers = weights.count_layers(tensors, TRANSFORMER + "blocks.{}.attn.key.weight")
    known = {**PUBLISHED.get((layers, width), {}), **told}
    missing = [name for name in ("n_head", "num_classes") if name not in known]
    if missing:
        raise BadCheckpoint(
            f"{what}: its shapes do not tell {' and '.join(missing)} (attention heads; classes, 0 for none). Write a "
            f'config.json with {{"{missing[0]}": ...}} beside it.'
        )
    places = tensors[f"{TRANSFORMER}pos_emb"].shape[1]
    return CodeGpt(codes, places, grid, known["num_classes"], width, layers, known["n_head"], before)


def tiny(folder: Path) -> Path:
    return write_tiny(folder, 3, 0)


def write_tiny(folder: Path, num_classes: int, channels: int) -> Path:
    """A small file. channels: of the maps that it draws from, 0 where it does from none."""
    coder = vqgan.original(random_weights(vq_model.of_widths((32, 32), 1, codes=16)), levels=2)
    length = 16 + (16 if channels else 1) - 1 + 4  # more places than are used, as published files have
    tensors = {vqgan.FIRST_STAGE + name: value for name, value in coder.items()}
    if channels:
        guide = random_weights(vq_model.of_widths((32, 32), 1, codes=12, channels=channels))
        tensors |= {CONDITION + name: value for name, value in vqgan.original(guide, levels=2).items()}
    tensors |= {
        TRANSFORMER + name: value for name, value in random_weights(CodeGpt(16, length, (4, 4), 0, width=8)).items()
    }
    tensors |= {f"{TRANSFORMER}blocks.{block}{MASK}": torch.ones(1, 1, length, length).tril() for block in range(2)}
    write_json(folder / CONFIG, {"n_head": 2, "num_classes": num_classes, "sample_size": 8})
    return write(folder / "tiny.safetensors", tensors)


def _typical() -> frozenset[str]:
    with empty_weights():
        prior = CodeGpt(16, 20, (4, 4), 3, layers=24)
    coder = vqgan.FAMILY.typical()
    return frozenset({vqgan.FIRST_STAGE + name for name in coder} | {TRANSFORMER + name for name in prior.state_dict()})


FAMILY: Final = Family(NAME, detect, load, tiny, beside.files, _typical)
