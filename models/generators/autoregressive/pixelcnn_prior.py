"""A gated PixelCNN over the codes of a picture (van den Oord 2016, "Conditional Image Generation")."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

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

NAME: Final = "VQModel with PixelCNN prior"


class PixelCNN(CodePrior):
    """Two stacks of gated convolutions: one sees all rows above, the other also what is left in the row.

    The paper's masks are had by shifting: the vertical stack reads the codes moved down by one row, the horizontal one
    moved right by one column, and what lies beyond is zero. Class and place condition every gate (its location-
    dependent form).

    codes: size of the codebook. grid: rows and columns of a picture's codes. classes: number of classes.
    """

    def __init__(self, codes: int, grid: tuple[int, int], classes: int, width: int = 48, layers: int = 8) -> None:
        super().__init__()
        self.grid = grid
        self.code = nn.Embedding(codes, width)
        self.num_classes = classes
        self.label = nn.Embedding(classes, width)
        self.position = nn.Parameter(0.02 * torch.randn(width, *grid))
        self.layers = nn.ModuleList(_Layer(width) for _ in range(layers))
        self.mix = nn.Conv2d(width, 4 * width, 1)
        self.head = nn.Conv2d(4 * width, codes, 1)

    def _layers(self) -> list[_Layer]:
        return cast(list[_Layer], list(self.layers))

    def forward(self, codes: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Logits of each code given those before it: int64 [N, h, w], int64 [N] -> [N, h * w, codes]."""
        return self.from_embedding(self.code(codes).permute(0, 3, 1, 2), labels).flatten(2).transpose(1, 2)

    def from_embedding(self, embedded: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Logits [N, codes, h, w] of embedded codes [N, width, h, w]."""
        condition = self.condition(labels)
        return self.across(embedded, self.above(embedded, condition), condition)

    def begin(self, labels: torch.Tensor) -> _State:
        return _State(self.condition(labels), [])

    def next_logits(self, state: _State, codes: torch.Tensor, place: int) -> torch.Tensor:
        """The vertical stack runs once for a row, over the rows down to it; the horizontal one for each code, in it."""
        row, column = divmod(place, self.grid[1])
        embedded = self.code(codes).reshape(len(codes), *self.grid, -1).permute(0, 3, 1, 2)
        condition = state.condition
        if column == 0:
            found = self.above(embedded[:, :, : row + 1], condition[:, :, : row + 1])
            state.above[:] = [part[:, :, row : row + 1] for part in found]
        here = slice(row, row + 1)
        return self.across(embedded[:, :, here], state.above, condition[:, :, here])[:, :, 0, column]

    def floats(self) -> float:
        # What the vertical stack tells of all rows at each layer, and the gates of one layer.
        width = self.position.shape[0]
        return (2 * len(self.layers) + 6) * width * self.places

    def condition(self, labels: torch.Tensor) -> torch.Tensor:
        """[N, width, h, w]."""
        return self.label(labels)[:, :, None, None] + self.position

    def above(self, embedded: torch.Tensor, condition: torch.Tensor) -> list[torch.Tensor]:
        """What each layer of the vertical stack tells the horizontal one, [N, 2 * width, h, w] each."""
        x = F.pad(embedded, (0, 0, 1, 0))[:, :, :-1]
        found = []
        for layer in self._layers():
            x, told = layer.vertical_pass(x, condition)
            found.append(told)
        return found

    def across(self, embedded: torch.Tensor, above: list[torch.Tensor], condition: torch.Tensor) -> torch.Tensor:
        """Logits [N, codes, h, w]."""
        x = F.pad(embedded, (1, 0))[..., :-1]
        for layer, told in zip(self._layers(), above, strict=True):
            x = layer.horizontal_pass(x, told, condition)
        return self.head(F.relu(self.mix(F.relu(x))))


class _State(NamedTuple):
    """condition: [N, width, h, w]. above: what the vertical stack tells of the current row, for each layer."""

    condition: torch.Tensor
    above: list[torch.Tensor]


class _Layer(nn.Module):
    """Kernels reach one column to each side and one row up, and one column to the left."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.vertical = nn.Conv2d(width, 2 * width, (2, 3))
        self.vertical_condition = nn.Conv2d(width, 2 * width, 1, bias=False)
        self.told = nn.Conv2d(2 * width, 2 * width, 1)
        self.horizontal = nn.Conv2d(width, 2 * width, (1, 2))
        self.horizontal_condition = nn.Conv2d(width, 2 * width, 1, bias=False)
        self.out = nn.Conv2d(width, width, 1)

    def vertical_pass(self, x: torch.Tensor, condition: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The next layer's input, and what this one tells the horizontal stack."""
        seen = self.vertical(F.pad(x, (1, 1, 1, 0)))
        return _gate(seen + self.vertical_condition(condition)), self.told(seen)

    def horizontal_pass(self, x: torch.Tensor, told: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        seen = self.horizontal(F.pad(x, (1, 0))) + told
        return x + self.out(_gate(seen + self.horizontal_condition(condition)))


def _gate(x: torch.Tensor) -> torch.Tensor:
    signal, gate = x.chunk(2, dim=1)
    return signal.tanh() * gate.sigmoid()


def detect(checkpoint: Checkpoint) -> bool:
    """A codebook, and a layer of this prior."""
    return {f"{CODER}quantize.embedding.weight", f"{PRIOR}layers.0.vertical.weight"} <= checkpoint.tensors.keys()


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> CodeGenerator:
    """Sizes are read from the shapes; metadata tells the groups of the VQModel's norms and the class names."""
    return load_code_generator(checkpoint, NAME, build)


def build(tensors: Tensors, told: Mapping[str, Any]) -> PixelCNN:
    """A PixelCNN that a file's tensors fit."""
    codes, width = tensors[f"{PRIOR}code.weight"].shape
    classes = len(tensors[f"{PRIOR}label.weight"])
    layers = weights.count_layers(tensors, PRIOR + "layers.{}.vertical.weight")
    _, rows, columns = tensors[f"{PRIOR}position"].shape
    return PixelCNN(codes, (rows, columns), classes, width, layers)


def tiny(folder: Path) -> Path:
    return write_tiny(folder, PixelCNN(16, (4, 4), 3, width=8, layers=3))


FAMILY: Final = Family(NAME, detect, load, tiny, weight_files, partial(typical, NAME))
