"""A PixelRNN of Row LSTMs over the codes of a picture (van den Oord 2016, "Pixel Recurrent Neural Networks")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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

NAME: Final = "VQModel with Row LSTM prior"


class RowLSTM(CodePrior):
    """A masked convolution, residual LSTMs that go down the rows, all columns of a row at once, and two of 1 x 1.

    The first convolution's kernel is square with mask A, and each LSTM's input-to-state kernel is one row with mask B,
    as in the paper's table 1; of both only what their masks let through is stored: what lies left in the row, with
    mask B also the place itself, and of the first convolution the rows above. Its state-to-state kernel over the row
    above has no mask. So what a logit sees is a triangle: in the d-th row above up to d - 1 columns beyond the first
    kernel's right edge; to the left each LSTM adds as far as its kernel reaches. Class and place condition all gates.

    codes: size of the codebook. grid: rows and columns of a picture's codes. classes: number of classes.
    hidden: features of a state; the paper's is half of `width`. reach: rows and columns of the first kernel to each
    side. size: columns of the LSTMs' kernels before masks, odd.
    """

    def __init__(
        self,
        codes: int,
        grid: tuple[int, int],
        classes: int,
        width: int = 64,
        hidden: int = 32,
        layers: int = 5,
        reach: int = 3,
        size: int = 3,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.code = nn.Embedding(codes, width)
        self.num_classes = classes
        self.label = nn.Embedding(classes, width)
        self.position = nn.Parameter(0.02 * torch.randn(width, *grid))
        self.reach = reach
        self.above = nn.Conv2d(width, width, (reach, 2 * reach + 1))
        self.left = nn.Conv2d(width, width, (1, reach), bias=False)
        self.layers = nn.ModuleList(_Layer(width, hidden, size) for _ in range(layers))
        self.mix = nn.Conv2d(width, 2 * width, 1)
        self.head = nn.Conv2d(2 * width, codes, 1)

    def _layers(self) -> list[_Layer]:
        return cast(list[_Layer], list(self.layers))

    def forward(self, codes: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Logits of each code given those before it: int64 [N, h, w], int64 [N] -> [N, h * w, codes]."""
        return self.from_embedding(self.code(codes).permute(0, 3, 1, 2), labels).flatten(2).transpose(1, 2)

    def from_embedding(self, embedded: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Logits [N, codes, h, w] of embedded codes [N, width, h, w]."""
        condition = self.condition(labels)
        reach = self.reach
        x = self.above(F.pad(embedded, (reach, reach, reach, 0))[:, :, :-1])
        x = x + self.left(F.pad(embedded, (reach, 0))[..., :-1])
        for layer in self._layers():
            x = layer(x, condition)
        return self._logits(x)

    def begin(self, labels: torch.Tensor) -> _State:
        return _State(self.condition(labels))

    def next_logits(self, state: _State, codes: torch.Tensor, place: int) -> torch.Tensor:
        """Only this place's column passes the layers; what the row above gives its row is told once for the row."""
        columns, reach = self.grid[1], self.reach
        row, column = divmod(place, columns)
        if column == 0:
            self._begin_row(state, codes, row)
        here = slice(column, column + 1)
        before = self._embedded(codes[:, place - min(column, reach) : place], 1)
        x = state.above[..., here] + self.left(F.pad(before, (reach - before.shape[-1], 0)))
        for layer, kept in zip(self._layers(), state.kept, strict=True):
            x = layer.step(x, kept, column)
        return self._logits(x)[:, :, 0, 0]

    def floats(self) -> float:
        # The condition; of a row what the layers keep; and the logits with what choosing among them takes.
        width, hidden = self.position.shape[0], self._layers()[0].hidden
        kept = len(self.layers) * (9 * hidden + width * self._layers()[0].reach) + (2 * self.reach + 1) * width
        return width * self.places + kept * self.grid[1] + 6 * self.head.out_channels

    def condition(self, labels: torch.Tensor) -> torch.Tensor:
        """[N, width, h, w]."""
        return self.label(labels)[:, :, None, None] + self.position

    def _begin_row(self, state: _State, codes: torch.Tensor, row: int) -> None:
        columns, reach = self.grid[1], self.reach
        rows = min(row, reach)
        seen = self._embedded(codes[:, (row - rows) * columns : row * columns], rows)
        state.above = self.above(F.pad(seen, (reach, reach, reach - rows, 0)))
        condition = state.condition[:, :, row : row + 1]
        if row:
            state.kept = [
                layer.next_row(kept, condition) for layer, kept in zip(self._layers(), state.kept, strict=True)
            ]
        else:
            state.kept = [layer.first_row(condition) for layer in self._layers()]

    def _embedded(self, codes: torch.Tensor, rows: int) -> torch.Tensor:
        """Whole rows of codes [N, rows * k], embedded, [N, width, rows, k]; of no rows, all columns of the grid."""
        columns = codes.shape[1] // rows if rows else self.grid[1]
        return self.code(codes).reshape(len(codes), rows, columns, self.code.embedding_dim).permute(0, 3, 1, 2)

    def _logits(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(F.relu(self.mix(F.relu(x))))


@dataclass
class _Kept:
    """What a layer keeps of a row, of which the columns come one after the other.

    told: what the row above and the condition add to the gates, [N, 4 * hidden, 1, w]. above: cells of the row above,
    [N, hidden, 1, w]. seen: the last inputs, as many as the kernel reaches to the left, [N, width, 1, size // 2].
    states, cells: [N, hidden, 1, 1] for each column so far.
    """

    told: torch.Tensor
    above: torch.Tensor
    seen: torch.Tensor
    states: list[torch.Tensor]
    cells: list[torch.Tensor]


class _State:
    """condition: [N, width, h, w]. above: of the first convolution for the current row, [N, width, 1, w]."""

    def __init__(self, condition: torch.Tensor) -> None:
        self.condition = condition
        self.above: torch.Tensor = condition[:, :, :1]
        self.kept: list[_Kept] = []


class _Layer(nn.Module):
    """Gates in the paper's order: output, forget, input, content."""

    def __init__(self, width: int, hidden: int, size: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.reach = size // 2
        self.input = nn.Conv2d(width, 4 * hidden, (1, self.reach + 1))
        self.condition = nn.Conv2d(width, 4 * hidden, 1, bias=False)
        self.state = nn.Conv2d(hidden, 4 * hidden, (1, size), padding=(0, self.reach), bias=False)
        self.out = nn.Conv2d(hidden, width, 1)

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """[N, width, h, w]."""
        given = self.input(F.pad(x, (self.reach, 0))) + self.condition(condition)
        state = cell = given.new_zeros(len(x), self.hidden, 1, x.shape[-1])
        states = []
        for gates in given.split(1, dim=2):
            state, cell = _step(gates + self.state(state), cell)
            states.append(state)
        return x + self.out(torch.cat(states, dim=2))

    def first_row(self, condition: torch.Tensor) -> _Kept:
        """condition: of the row, [N, width, 1, w]."""
        count, width, _, columns = condition.shape
        nothing = condition.new_zeros(count, self.hidden, 1, columns)
        return _Kept(self.condition(condition), nothing, condition.new_zeros(count, width, 1, self.reach), [], [])

    def next_row(self, kept: _Kept, condition: torch.Tensor) -> _Kept:
        """After all columns of a row."""
        told = self.state(torch.cat(kept.states, dim=3)) + self.condition(condition)
        return _Kept(told, torch.cat(kept.cells, dim=3), torch.zeros_like(kept.seen), [], [])

    def step(self, x: torch.Tensor, kept: _Kept, column: int) -> torch.Tensor:
        """[N, width, 1, 1] of one column; columns must come in order."""
        here = slice(column, column + 1)
        seen = torch.cat([kept.seen, x], dim=3)
        kept.seen = seen[..., 1:]
        state, cell = _step(self.input(seen) + kept.told[..., here], kept.above[..., here])
        kept.states.append(state)
        kept.cells.append(cell)
        return x + self.out(state)


def _step(gates: torch.Tensor, cell: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """States and cells of a row, from its gates and the cells of the row above."""
    output, forget, write, content = gates.chunk(4, dim=1)
    cell = forget.sigmoid() * cell + write.sigmoid() * content.tanh()
    return output.sigmoid() * cell.tanh(), cell


def detect(checkpoint: Checkpoint) -> bool:
    """A codebook, and a layer of this prior."""
    return {f"{CODER}quantize.embedding.weight", f"{PRIOR}layers.0.state.weight"} <= checkpoint.tensors.keys()


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> CodeGenerator:
    """Sizes are read from the shapes; metadata tells the groups of the VQModel's norms and the class names."""
    return load_code_generator(checkpoint, NAME, build)


def build(tensors: Tensors, told: Mapping[str, Any]) -> RowLSTM:
    """A PixelRNN that a file's tensors fit."""
    codes, width = tensors[f"{PRIOR}code.weight"].shape
    classes = len(tensors[f"{PRIOR}label.weight"])
    layers = weights.count_layers(tensors, PRIOR + "layers.{}.state.weight")
    _, rows, columns = tensors[f"{PRIOR}position"].shape
    _, hidden, _, size = tensors[f"{PRIOR}layers.0.state.weight"].shape
    reach = tensors[f"{PRIOR}left.weight"].shape[-1]
    return RowLSTM(codes, (rows, columns), classes, width, hidden, layers, reach, size)


def tiny(folder: Path) -> Path:
    return write_tiny(folder, RowLSTM(16, (4, 4), 3, width=8, hidden=4, layers=2))


FAMILY: Final = Family(NAME, detect, load, tiny, weight_files, partial(typical, NAME))
