"""A causal transformer over the codes of a picture, row by row, with the class as first token."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import torch
import torch.nn.functional as F
from torch import nn

from ... import weights
from ...families import Family
from ...files.checkpoints import Checkpoint
from ...files.folders import weight_files
from ...weights import DtypeFor, Tensors, full_precision
from .code_generator import CODER, PRIOR, CodeGenerator, load_code_generator, typical, write_tiny
from .code_prior import CodePrior
from .min_gpt import KeysAndValues

NAME: Final = "VQModel with transformer prior"
HEADS: Final = 4
"""Attention heads of a file that does not tell them; cannot be detected."""


class CausalTransformer(CodePrior):
    """Decoder-only transformer, layers normalised before their branches (GPT-2, Radford 2019), whose first token says
    what to draw.

    codes: size of the codebook. grid: rows and columns of a picture's codes.
    """

    def __init__(self, codes: int, grid: tuple[int, int], width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.grid = grid
        self.code = nn.Embedding(codes, width)
        self.position = nn.Parameter(0.02 * torch.randn(*grid, width))
        self.layers = nn.ModuleList(_Layer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, codes)
        nn.init.normal_(self.code.weight, std=0.02)

    @abstractmethod
    def first(self, labels: torch.Tensor) -> torch.Tensor:
        """The first token, [N, width], of what `begin` is given."""

    def _layers(self) -> list[_Layer]:
        return cast(list[_Layer], list(self.layers))

    def forward(self, codes: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Logits of each code given those before it: int64 [N, h, w] and what to draw -> [N, h * w, codes]."""
        return self.from_embedding(self.code(codes).flatten(1, 2), labels)

    def from_embedding(self, embedded: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Logits [N, h * w, codes] of embedded codes [N, h * w, width]."""
        tokens = torch.cat([self.first(labels)[:, None], embedded[:, :-1]], dim=1)
        x = tokens + self.position.flatten(0, 1)
        for layer in self._layers():
            x = layer(x)
        return self.head(self.norm(x))

    def begin(self, labels: torch.Tensor) -> tuple[torch.Tensor, KeysAndValues]:
        """What to draw, and an empty cache."""
        heads = self._layers()[0].heads
        return labels, KeysAndValues.empty(self.position, len(self.layers), len(labels), heads, self.places)

    def next_logits(self, state: tuple[torch.Tensor, KeysAndValues], codes: torch.Tensor, place: int) -> torch.Tensor:
        """One token passes the layers, whatever the place: those before it are in the cache, which grows by it."""
        labels, cache = state
        token = self.first(labels) if place == 0 else self.code(codes[:, place - 1])
        x = (token + self.position.flatten(0, 1)[place])[:, None]
        for layer, keys, values in zip(self._layers(), *cache, strict=True):
            x = layer.next(x, keys, values, place)
        return self.head(self.norm(x[:, 0]))

    def floats(self) -> float:
        # The cache; then the widest layer, and the distribution in twice the precision, sorted and summed.
        width, codes = self.position.shape[-1], self.code.num_embeddings
        return 2 * len(self.layers) * self.places * width + 8 * width + 8 * codes


class CodeTransformer(CausalTransformer):
    """Draws classes. classes: their number."""

    def __init__(
        self, codes: int, grid: tuple[int, int], classes: int, width: int = 96, layers: int = 3, heads: int = HEADS
    ) -> None:
        super().__init__(codes, grid, width, layers, heads)
        self.num_classes = classes
        self.label = nn.Embedding(classes, width)
        nn.init.normal_(self.label.weight, std=0.02)

    def first(self, labels: torch.Tensor) -> torch.Tensor:
        """The class, int64 [N]."""
        return self.label(labels)


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, keys, values = self._split(x)
        return self._finish(x, F.scaled_dot_product_attention(query, keys, values, is_causal=True))

    def next(self, x: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, place: int) -> torch.Tensor:
        """x: [N, 1, width]; keys, values: [N, heads, places, size], of which `place` are known and one is added."""
        query, keys[:, :, place : place + 1], values[:, :, place : place + 1] = self._split(x)
        known = slice(place + 1)
        return self._finish(x, F.scaled_dot_product_attention(query, keys[:, :, known], values[:, :, known]))

    def _split(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries, keys and values, [N, heads, T, size] each."""
        count, length, width = x.shape
        parts = self.qkv(self.attention_norm(x)).reshape(count, length, 3, self.heads, width // self.heads)
        return tuple(parts.permute(2, 0, 3, 1, 4))

    def _finish(self, x: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        x = x + self.out(attended.transpose(1, 2).reshape(x.shape))
        return x + self.down(F.gelu(self.up(self.mlp_norm(x))))


def detect(checkpoint: Checkpoint) -> bool:
    """A codebook, and a layer of this prior, which draws by no features."""
    return is_transformer(checkpoint) and f"{PRIOR}feature.weight" not in checkpoint.tensors


def is_transformer(checkpoint: Checkpoint) -> bool:
    """Whether a file has a codebook, and a layer of a CausalTransformer."""
    return {f"{CODER}quantize.embedding.weight", f"{PRIOR}layers.0.qkv.weight"} <= checkpoint.tensors.keys()


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> CodeGenerator:
    """Sizes are read from the shapes; metadata tells the heads, the groups of the VQModel's norms and class names."""
    return load_code_generator(checkpoint, NAME, build)


def build(tensors: Tensors, told: Mapping[str, Any]) -> CodeTransformer:
    """A transformer that a file's tensors fit; `told` may hold "heads"."""
    codes, grid, *sizes = sizes_of(tensors, told)
    return CodeTransformer(codes, grid, len(tensors[f"{PRIOR}label.weight"]), *sizes)


def sizes_of(tensors: Tensors, told: Mapping[str, Any]) -> tuple[int, tuple[int, int], int, int, int]:
    """Codes, grid, width, layers and heads of a file's CausalTransformer; `told` may hold "heads"."""
    codes, width = tensors[f"{PRIOR}code.weight"].shape
    layers = weights.count_layers(tensors, PRIOR + "layers.{}.qkv.weight")
    rows, columns, _ = tensors[f"{PRIOR}position"].shape
    return codes, (rows, columns), width, layers, told.get("heads", HEADS)


def tiny(folder: Path) -> Path:
    return write_tiny(folder, CodeTransformer(16, (4, 4), 3, width=8, layers=2))


FAMILY: Final = Family(NAME, detect, load, tiny, weight_files, partial(typical, NAME))
