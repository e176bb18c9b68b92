"""What a logit of the Row LSTM sees, its recurrence against torch's own cell, and what drawing costs."""

import pytest
import torch
from torch import nn
from trilemma.models.generators.autoregressive import row_lstm_prior
from trilemma.models.generators.autoregressive.row_lstm_prior import RowLSTM
from trilemma.tests.closeness import assert_close
from trilemma.tests.generators.autoregressive.tiny_codes import CODES, GRID, tiny_prior

LABEL = torch.tensor([1])


def random_prior(grid: tuple[int, int], **sizes: int) -> RowLSTM:
    """In double precision, so that no gradient that is there is rounded to nothing."""
    torch.manual_seed(0)
    prior = RowLSTM(CODES, grid, 2, **sizes).double()
    for parameter in prior.parameters():
        nn.init.normal_(parameter, std=0.25)
    return prior


def reach(prior: RowLSTM) -> torch.Tensor:
    """bool [places, places]: whether the embedding of a code (column) has a gradient in the logits of a place (row), in
    any of some pictures: in one of them a rectifier may let nothing through.
    """
    embedded = prior.code(torch.randint(CODES, (4, *prior.grid))).permute(0, 3, 1, 2).detach().requires_grad_(True)
    logits = prior.from_embedding(embedded, LABEL.expand(4)).flatten(2)
    found = []
    for place in range(logits.shape[2]):
        (gradient,) = torch.autograd.grad(logits[:, :, place].square().sum(), embedded, retain_graph=True)
        found.append(gradient.abs().amax(dim=(0, 1)).flatten() > 0)
    return torch.stack(found)


def triangle(grid: tuple[int, int], layers: int, first: int, size: int) -> torch.Tensor:
    """The receptive field by walking: a path from a place takes, in any order but the last, steps to the left in the
    input-to-state kernels (at most `size // 2` in each layer), and steps up (any number, the columns beside it too) in
    the state-to-state ones; the last is one step within the first kernel, which never stays where it is.
    """
    rows, columns = grid
    half = size // 2
    places = [(row, column) for row in range(rows) for column in range(columns)]
    seen = torch.zeros(len(places), len(places), dtype=torch.bool)
    for place, here in enumerate(places):
        reached = {here}
        for _ in range(layers):
            while True:
                up = {(row - 1, column + side) for row, column in reached for side in range(-half, half + 1)}
                more = reached | {cell for cell in up if cell in places}
                if more == reached:
                    break
                reached = more
            reached |= {(row, column - side) for row, column in reached for side in range(half + 1) if column >= side}
        for row, column in reached:
            window = [(row, column - side) for side in range(1, first + 1)]
            window += [(row - up, column + side) for up in range(1, first + 1) for side in range(-first, first + 1)]
            for cell in window:
                if cell in places:
                    seen[place, places.index(cell)] = True
    return seen


@pytest.mark.slow
@pytest.mark.parametrize(
    ("grid", "layers", "first", "size"),
    [((4, 3), 1, 1, 3), ((3, 8), 1, 1, 3), ((5, 9), 2, 2, 3), ((3, 12), 2, 1, 5), ((8, 8), 5, 3, 3), ((4, 6), 2, 1, 1)],
)
def test_a_logit_sees_its_whole_receptive_field_and_nothing_else(
    grid: tuple[int, int], layers: int, first: int, size: int
):
    seen = reach(random_prior(grid, width=4, hidden=3, layers=layers, reach=first, size=size))
    assert torch.equal(seen, triangle(grid, layers, first, size))
    assert not seen.triu().any()


def test_no_logit_sees_its_own_code_or_a_later_one():
    seen = reach(tiny_prior(row_lstm_prior).double())
    assert not seen.triu().any()
    assert torch.equal(seen, triangle(GRID, 2, 1, 3))


@pytest.mark.slow
def test_the_starter_sees_all_but_the_upper_right_beyond_its_triangle():
    """Five layers reach across eight columns; to the right the d-th row above is seen up to d + 2 columns."""
    seen = reach(random_prior((8, 8), width=4, hidden=3, layers=5))
    rows, columns = torch.arange(64) // 8, torch.arange(64) % 8
    up, right = rows[:, None] - rows, columns - columns[:, None]
    assert torch.equal(seen, torch.where(up > 0, right <= up + 2, (up == 0) & (right < 0)))


@torch.no_grad()
def test_with_kernels_of_one_column_it_is_the_usual_lstm():
    """Then no column knows of another, and each is an LSTM down the rows, torch's gates ordered otherwise."""
    prior = random_prior((5, 3), width=4, hidden=3, layers=1, size=1)
    layer = prior.layers[0]
    cell = nn.LSTMCell(4, 3).double()
    condition = prior.condition(LABEL)
    order = [2, 1, 3, 0]  # torch: input, forget, content, output; the paper: output, forget, input, content.

    def gates(weight: torch.Tensor) -> torch.Tensor:
        return weight.flatten(1).unflatten(0, (4, 3))[order].flatten(0, 1)

    cell.weight_ih.copy_(gates(layer.input.weight))
    cell.weight_hh.copy_(gates(layer.state.weight))
    cell.bias_hh.zero_()
    x = torch.randn(1, 4, 5, 3, dtype=torch.float64)
    found = layer(x, condition)
    for column in range(3):
        state = memory = torch.zeros(1, 3, dtype=torch.float64)
        for row in range(5):
            given = layer.condition.weight.flatten(1) @ condition[0, :, row, column] + layer.input.bias
            cell.bias_ih.copy_(gates(given[:, None]).flatten())
            state, memory = cell(x[:, :, row, column], (state, memory))
            expected = x[0, :, row, column] + layer.out.weight.flatten(1) @ state[0] + layer.out.bias
            assert_close(found[0, :, row, column], expected)


@torch.no_grad()
def test_drawing_passes_one_column_for_each_code_and_one_row_for_each_row():
    prior = tiny_prior(row_lstm_prior)
    columns: dict[str, list[int]] = {"input": [], "state": []}
    for name, given in columns.items():

        def count(module, inputs, output, given=given) -> None:
            given.append(output.shape[2] * output.shape[3])

        getattr(prior.layers[0], name).register_forward_hook(count)
    codes = torch.randint(CODES, (2, GRID[0] * GRID[1]))
    state = prior.begin(torch.tensor([0, 1]))
    for place in range(GRID[0] * GRID[1]):
        prior.next_logits(state, codes, place)
    assert columns == {"input": [1] * GRID[0] * GRID[1], "state": [GRID[1]] * (GRID[0] - 1)}


@torch.no_grad()
def test_classes_change_every_logit():
    prior = tiny_prior(row_lstm_prior)
    codes = torch.randint(CODES, (1, *GRID))
    assert ((prior(codes, torch.tensor([0])) - prior(codes, torch.tensor([1]))).abs().amax(dim=2) > 1e-3).all()
