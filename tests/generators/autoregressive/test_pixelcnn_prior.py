import pytest
import torch
from trilemma.models.generators.autoregressive import pixelcnn_prior
from trilemma.models.generators.autoregressive.pixelcnn_prior import PixelCNN
from trilemma.tests.generators.autoregressive.tiny_codes import CODES, GRID, tiny_prior

PLACES = GRID[0] * GRID[1]


def reach(function, embedded: torch.Tensor) -> torch.Tensor:
    """bool [places, places]: whether a place of the input has a gradient in a place of what a function gives."""
    rows = []
    for place in range(PLACES):
        given = embedded.clone().requires_grad_(True)
        output = function(given).flatten(2)
        (gradient,) = torch.autograd.grad(output[0, :, place].square().sum(), given)
        rows.append(gradient[0].abs().amax(dim=0).flatten() > 0)
    return torch.stack(rows)


@pytest.fixture
def prior() -> PixelCNN:
    return tiny_prior(pixelcnn_prior).double()


@pytest.fixture
def embedded(prior: PixelCNN) -> torch.Tensor:
    return prior.code(torch.randint(CODES, (1, *GRID))).permute(0, 3, 1, 2)


def test_every_past_pixel_reaches_a_logit_and_no_future_one_does(prior: PixelCNN, embedded: torch.Tensor):
    reached = reach(lambda given: prior.from_embedding(given, torch.tensor([1])), embedded)
    assert torch.equal(reached, torch.ones(PLACES, PLACES, dtype=torch.bool).tril(-1))


def test_the_vertical_stack_sees_all_rows_above_and_nothing_else(prior: PixelCNN, embedded: torch.Tensor):
    condition = prior.condition(torch.tensor([1]))
    reached = reach(lambda given: prior.above(given, condition)[-1], embedded)
    rows = torch.arange(PLACES) // GRID[1]
    assert torch.equal(reached, rows[None, :] < rows[:, None])


def test_the_horizontal_stack_sees_what_is_left_in_its_row_and_nothing_else(prior: PixelCNN, embedded: torch.Tensor):
    condition = prior.condition(torch.tensor([1]))
    above = prior.above(torch.zeros_like(embedded), condition)
    reached = reach(lambda given: prior.across(given, above, condition), embedded)
    places = torch.arange(PLACES)
    rows = places // GRID[1]
    assert torch.equal(reached, (rows[None, :] == rows[:, None]) & (places[None, :] < places[:, None]))


def test_the_starter_sees_its_whole_picture():
    """Eight layers reach across eight columns and up eight rows."""
    torch.manual_seed(0)
    prior = PixelCNN(4, (8, 8), 1, width=4, layers=8).double()
    given = prior.code(torch.randint(4, (1, 8, 8))).permute(0, 3, 1, 2).detach().requires_grad_(True)
    logits = prior.from_embedding(given, torch.tensor([0]))
    (gradient,) = torch.autograd.grad(logits[0, :, 7, 0].square().sum(), given)
    reached = gradient[0].abs().amax(dim=0) > 0
    assert reached[:7].all()
    assert not reached[7].any()


@torch.no_grad()
def test_the_vertical_stack_runs_once_for_a_row(prior: PixelCNN):
    calls = []
    prior.layers[0].vertical.register_forward_pre_hook(lambda module, inputs: calls.append(inputs[0].shape[2]))
    codes = torch.randint(CODES, (2, PLACES))
    state = prior.begin(torch.tensor([0, 1]))
    for place in range(PLACES):
        prior.next_logits(state, codes, place)
    # One row of padding above the rows down to the current one.
    assert calls == [row + 2 for row in range(GRID[0])]
