import pytest
import torch
from trilemma.models.generators.autoregressive.code_sampling import keep, pick

LOGITS = torch.tensor([0.2, 2.0, -1.0, 2.0, 0.5])


def spread(count: int) -> torch.Tensor:
    return (torch.arange(count, dtype=torch.float64) + 0.5) / count


def shares(count: int = 100_000, **options) -> torch.Tensor:
    drawn = pick(LOGITS.expand(count, -1), spread(count), **options)
    return torch.bincount(drawn, minlength=len(LOGITS)).double() / count


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_codes_are_drawn_as_often_as_the_softmax_says(temperature: float):
    expected = (LOGITS.double() / temperature).softmax(0)
    assert torch.allclose(shares(temperature=temperature), expected, atol=2e-5)


def test_a_low_temperature_leaves_the_likeliest():
    assert pick(torch.tensor([[1.0, 1.5, 0.0]]).expand(9, -1), spread(9), temperature=0.01).tolist() == [1] * 9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("top_k", "kept"), [(0, {0, 1, 2, 3, 4}), (1, {1}), (2, {1, 3}), (4, {0, 1, 3, 4}), (99, {0, 1, 2, 3, 4})]
)
def test_top_k_keeps_the_likeliest_and_the_first_of_equals(top_k: int, kept: set[int]):
    assert set(shares(top_k=top_k).nonzero().flatten().tolist()) == kept


@pytest.mark.parametrize(("top_p", "count"), [(0.0, 1), (0.39, 1), (0.5, 2), (0.84, 3), (0.99, 5), (1.0, 5)])
def test_top_p_keeps_the_fewest_that_reach_it(top_p: float, count: int):
    # In order: 0.4, 0.4, 0.1, 0.06, 0.04.
    logits = torch.tensor([[0.06, 0.4, 0.04, 0.4, 0.1]]).log()
    probabilities = keep(logits, top_p=top_p)[0]
    assert (probabilities > 0).sum() == count
    assert torch.equal(probabilities[probabilities > 0], logits.double().softmax(1)[0][probabilities > 0])


def test_top_p_is_a_share_of_what_top_k_leaves():
    logits = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()
    assert (keep(logits, top_k=2, top_p=0.55)[0] > 0).tolist() == [True, False, False, False]
    assert (keep(logits, top_p=0.55)[0] > 0).tolist() == [True, True, False, False]


def test_the_largest_number_below_one_gives_a_code_that_is_kept():
    largest = torch.tensor([1 - 2.0**-53], dtype=torch.float64)
    for seed in range(50):
        logits = torch.randn(1, 40, generator=torch.Generator().manual_seed(seed))
        logits[:, 30:] = -torch.inf
        assert pick(logits, largest).item() == 29


def test_zero_gives_the_first_code_that_is_kept():
    assert pick(torch.tensor([[-torch.inf, 0.0, 1.0]]), torch.zeros(1, dtype=torch.float64)).item() == 1


def test_rows_have_numbers_of_their_own():
    logits = torch.zeros(3, 4)
    assert pick(logits, torch.tensor([0.1, 0.6, 0.9], dtype=torch.float64)).tolist() == [0, 2, 3]


def test_a_last_bit_does_not_swap_codes():
    """Equal logits that differ by one unit in the last place draw the same code for each of many numbers."""
    logits = torch.zeros(10_000, 8)
    other = logits.clone()
    other[:, 5] = 1e-7
    numbers = torch.rand(10_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.equal(pick(logits, numbers), pick(other, numbers))
